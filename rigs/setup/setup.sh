#!/bin/sh
# Sets up this checkout: host packages through apt, and .venv/ from the lock file with hashes.
#   rigs/setup/setup.sh demo|test
# Says what it is about to install before it does; asks sudo only when not root. Does nothing,
# quickly, when all is there.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
top=$(CDPATH='' cd -- "$here/../.." && pwd)
want=${1:-demo}
python=${PYTHON:-python3}
PATH=$PATH:/usr/sbin:/sbin

say() { printf 'setup: %s\n' "$*"; }
fail() {
    printf 'setup: %s\n  remedy: %s\n' "$1" "$2" >&2
    exit 3
}

lists=$here/demo.packages
[ "$want" = test ] && lists="$lists $here/test.packages"
missing=
while read -r program package reason; do
    case $program in '' | \#*) continue ;; esac
    command -v "$program" >/dev/null 2>&1 && continue
    say "needs $package: $reason"
    missing="$missing $package"
done <<LISTS
$(cat $lists)
LISTS

command -v "$python" >/dev/null 2>&1 || missing="$missing python3 python3-venv"
if command -v "$python" >/dev/null 2>&1; then
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$python is older than Python 3.11" "install a newer one and call: make PYTHON=python3.11 $want"
    "$python" -c 'import ensurepip, venv' 2>/dev/null || {
        say "needs python3-venv: the virtual environment"
        missing="$missing python3-venv"
    }
fi
# mmdebstrap checks Debian's signatures; Debian has the keys, Ubuntu must install them.
if [ ! -e /usr/share/keyrings/debian-archive-keyring.gpg ]; then
    say "needs debian-archive-keyring: checks the packages that go into the guest"
    missing="$missing debian-archive-keyring"
fi

if [ -n "$missing" ]; then
    command -v apt-get >/dev/null 2>&1 ||
        fail "no apt-get here" "install by hand what provides:$missing"
    sudo=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null 2>&1 ||
            fail "not root, and no sudo" "as root: apt-get install --no-install-recommends$missing"
        sudo=sudo
        say "sudo is asked for to install:$missing"
    fi
    say "apt-get install --no-install-recommends$missing"
    $sudo env DEBIAN_FRONTEND=noninteractive sh -c "
        apt-get update -qq || true
        apt-get install -y -qq --no-install-recommends$missing" >/dev/null ||
        fail "apt-get failed" "see its words above, mend them, and call this again"
fi

# What a lock file and its place come to. The test lock holds all of the demo's, at the same
# versions: where it is installed, the demo has what it needs.
digest() { { printf '%s\n' "$top"; cat "$here/$1.txt"; } | sha256sum | cut -c1-16; }
stamp() { printf '%s' "$top/.venv/.mpa-hil-$1"; }
installed() { [ "$(cat "$(stamp "$1")" 2>/dev/null)" = "$(digest "$1")" ]; }

lock=dev
if [ "$want" != test ]; then
    installed run && exit 0
    lock=run
fi
installed dev && exit 0

say "making .venv/ from rigs/setup/$lock.txt"
# An interrupted beginning leaves a Python without pip; so does one that the system has replaced.
"$top/.venv/bin/python" -m pip --version >/dev/null 2>&1 ||
    "$python" -m venv --clear "$top/.venv" ||
    fail "the virtual environment cannot be made" "remove .venv/ and call this again"
"$top/.venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
    --no-deps -r "$here/$lock.txt" ||
    fail "pip failed" "see its words above, mend them, and call this again"
# The command itself: the checkout on the import path, and a three-line script.
site=$("$top/.venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
printf '%s\n' "$top" >"$site/mpa_hil_checkout.pth"
cat >"$top/.venv/bin/mpa-hil" <<SCRIPT
#!$top/.venv/bin/python
from mpa_hil.cli import main
main()
SCRIPT
chmod +x "$top/.venv/bin/mpa-hil"
digest "$lock" >"$(stamp "$lock")"
