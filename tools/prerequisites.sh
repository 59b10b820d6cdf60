#!/bin/sh
# Name every missing program at once, and the one command that installs them all on Debian: sh tools/prerequisites.sh
# The exit status is 1 if setup cannot run; with --tests, also if most tests cannot. --install runs the command if this user
# may. PYTHON is the Python to set up with. It needs no program besides the shell.
set -u
tests='' install=''
for word; do
    case $word in
    --tests) tests=1 ;;
    --install) install=1 ;;
    *) echo "usage: sh tools/prerequisites.sh [--tests] [--install]" >&2 && exit 2 ;;
    esac
done

python() { # CODE
    ${PYTHON:-python3.11} -c "$1" 2> /dev/null
}

has() { # PROGRAM...: whether one of them is installed
    for program; do
        command -v "$program" > /dev/null && return 0
    done
    return 1
}

list() { # PURPOSE WHAT PACKAGE
    lines="${lines}$2 is missing, which $1 needs
"
    packages="${packages:+$packages }$3"
    case $1 in setup) fails=1 ;; 'make test') fails=${fails:-$tests} ;; esac
}

look() {
    lines='' packages='' fails=''
    has make || list setup make make
    has g++ || list setup 'g++ (a C++ compiler, for Horovod)' g++
    python 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' ||
        list setup "Python 3.11 (tried: ${PYTHON:-python3.11})" python3.11
    python 'import ensurepip, venv' || list setup "Python's venv module" python3.11-venv
    python 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")' ||
        list setup "Python's headers (for Horovod)" python3.11-dev
    has git || list 'make test' git git
    has openssl || list 'make test' openssl openssl
    has ssh-keygen || list 'make test' ssh-keygen openssh-client
    has "${MSD_SPARK_BROWSER:-}" chromium chromium-browser google-chrome google-chrome-stable ||
        list 'the browser test' Chromium chromium
    has /usr/sbin/sshd sshd || list 'make test-cluster' 'an SSH server' openssh-server
    has ip || list 'make test-cluster' ip iproute2
}

look
[ -n "$packages" ] || exit 0
may=''
if [ "$(id -u 2> /dev/null)" = 0 ]; then
    before='' after='' may=1
elif has sudo; then
    before="sudo sh -c '" after="'" may=$(sudo -n true 2> /dev/null && echo 1)
else
    before="su -c '" after="'"
fi
command_for() { # PACKAGE...
    echo "${before}apt-get update && apt-get install --yes --no-install-recommends $*$after"
}
printf '%s' "$lines" | while IFS= read -r line; do echo "setup: $line"; done >&2
echo "setup: install all of them: $(command_for "$packages")" >&2
if [ -n "$install" ] && [ -n "$may" ] && has apt-get; then
    export DEBIAN_FRONTEND=noninteractive
    # One that the archive lacks must not prevent the others.
    eval "$(command_for "$packages")" >&2 || for package in $packages; do eval "$(command_for "$package")" >&2; done
    look
fi
exit "${fails:-0}"
