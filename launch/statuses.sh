# shellcheck shell=bash
# The meaning of jaxgan's exit statuses to a launcher (jaxgan/errors.py defines them), and the choice among several.

meaning() { # meaning STATUS: one word
  case $1 in
    0) echo finished ;;
    2) echo mistake ;;
    3) echo "gave up" ;;
    75) echo interrupted ;; # it has saved: start it again
    130) echo stopped ;;    # Ctrl-C
    *) echo crashed ;;
  esac
}

weight() { # weight STATUS: its priority among the statuses of several processes
  case $(meaning "$1") in
    mistake) echo 5 ;;
    "gave up") echo 4 ;;
    stopped) echo 3 ;;
    crashed) echo 2 ;;
    interrupted) echo 1 ;;
    finished) echo 0 ;;
  esac
}

worst() { # worst STATUS...: the one with the highest priority, among equals the first, since later ones follow from it
  local each found=0
  for each in "$@"; do
    if [ "$(weight "$each")" -gt "$(weight "$found")" ]; then
      found=$each
    fi
  done
  echo "$found"
}
