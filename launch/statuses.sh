# shellcheck shell=bash
# What exit statuses of jaxgan mean to a launcher (jaxgan/errors.py has the numbers), and which of several counts.

meaning() { # meaning STATUS: one word
  case $1 in
    0) echo finished ;;
    2) echo mistake ;;
    3) echo "gave up" ;;
    75) echo interrupted ;; # saved: to be started again
    130) echo stopped ;;    # Ctrl-C
    *) echo crashed ;;
  esac
}

weight() { # weight STATUS: how much it says about the run
  case $(meaning "$1") in
    mistake) echo 5 ;;
    "gave up") echo 4 ;;
    stopped) echo 3 ;;
    crashed) echo 2 ;;
    interrupted) echo 1 ;;
    finished) echo 0 ;;
  esac
}

worst() { # worst STATUS...: the one that says most, of equals the first: what others died of after it is an echo
  local each found=0
  for each in "$@"; do
    if [ "$(weight "$each")" -gt "$(weight "$found")" ]; then
      found=$each
    fi
  done
  echo "$found"
}
