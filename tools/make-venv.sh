#!/bin/sh
# make-venv.sh PYTHON FOLDER: a virtual environment, or the line that installs what is missing for one.
set -eu
python=$1 folder=$2

missing() { # missing WHAT DEBIAN-PACKAGES FEDORA-PACKAGES
  echo "$1" >&2
  if command -v apt-get >/dev/null 2>&1; then echo "Install it: apt-get install $2" >&2
  elif command -v dnf >/dev/null 2>&1; then echo "Install it: dnf install $3" >&2
  else echo "Install it: apt-get install $2 (Debian, Ubuntu), dnf install $3 (Fedora, RHEL)" >&2
  fi
  exit 1
}

if ! command -v "$python" >/dev/null 2>&1; then
  missing "HMS needs Python 3.11 or newer; $python was not found." "python3 python3-venv" "python3"
fi
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if ! "$python" -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11))'; then
  missing "HMS needs Python 3.11 or newer; $python is $version. If you have a newer one: make PYTHON=python3.11 ..." \
    "python3.11 python3.11-venv" "python3.11"
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  case $python in *[0-9].[0-9]*) package=python$version-venv ;; *) package=python3-venv ;; esac
  missing "$python ($version) cannot make virtual environments: its venv or ensurepip module is missing." "$package" "python3-libs python3-pip"
fi
"$python" -m venv "$folder"
