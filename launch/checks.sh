# shellcheck shell=bash
# What a launcher takes, looked at before anything is started.

digits=0123456789 # spelt out: a range may hold digits of other scripts, by locale

is_whole() { # is_whole TEXT LEAST MOST: a whole number as it is usually written; a zero in front would make it octal
  [[ $1 =~ ^(0|[123456789][$digits]{0,8})$ ]] && [ "$1" -ge "$2" ] && [ "$1" -le "$3" ]
}

shown() { # shown TEXT: on one line, as a shell reads it back
  if [[ $1 =~ ^[-A-Za-z0-9_./:=,@%+]+$ ]]; then
    printf '%s' "$1"
  else
    printf '%q' "$1"
  fi
}
