# shellcheck shell=bash
# Checks of a launcher's arguments, made before anything is started.

digits=0123456789 # spelt out: in some locales a range includes digits of other scripts

is_whole() { # is_whole TEXT LEAST MOST: a whole number in its usual form; a leading zero would make it octal
  [[ $1 =~ ^(0|[123456789][$digits]{0,8})$ ]] && [ "$1" -ge "$2" ] && [ "$1" -le "$3" ]
}

shown() { # shown TEXT: on one line, quoted for a shell
  if [[ $1 =~ ^[-A-Za-z0-9_./:=,@%+]+$ ]]; then
    printf '%s' "$1"
  else
    printf '%q' "$1"
  fi
}
