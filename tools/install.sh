#!/usr/bin/env bash
# Makes the virtual environment given as $1 and installs Lambent and its tools into it, with what the machine lacks.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$1
python=${PYTHON:-python3}

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }

# Debian packages, only where a command is missing and only as root.
need() {
    local missing=()
    while [ $# -gt 0 ]; do
        eval "$1" >/dev/null 2>&1 || missing+=("$2")
        shift 2
    done
    [ ${#missing[@]} -eq 0 ] && return
    if [ "$(id -u)" -ne 0 ]; then
        echo "missing: ${missing[*]}. As root: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    say "Installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}
need "$python -c 'import ensurepip'" python3-venv "command -v unshare" util-linux "command -v mount" mount "command -v curl" curl

[ -x "$venv/bin/python" ] || { say "Making $venv"; "$python" -m venv "$venv"; }
say "Installing Lambent (the agent is compiled on the way)"
"$venv/bin/pip" install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[awslambdaric,dev,postgres]'
if ! command -v go >/dev/null; then
    "$venv/bin/pip" install --quiet --disable-pip-version-check "$(sed -n 's/^GO_FROM_PYPI = "\(.*\)"/\1/p' hatch_build.py)"
fi
