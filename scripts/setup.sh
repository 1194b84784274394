#!/usr/bin/env bash
# Makes sure that what the build needs is there: Swift, and two Debian packages, which are installed if missing; so are those
# that are named behind the script.
set -euo pipefail

packages=(libopenblas-dev libsentencepiece-dev "$@")

say() { printf 'setup: %s\n' "$*" >&2; }

if ! command -v swift >/dev/null; then
    say "swift isn't found: install Swift 6.2 or newer from https://www.swift.org/install and put it into PATH"
    exit 1
fi
version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\)\.\([0-9]*\).*/\1 \2/p' | head -n 1)
read -r major minor <<<"${version:-0 0}"
if ((major < 6 || (major == 6 && minor < 2))); then
    say "warning: Swift 6.2 or newer is needed, found ${version:+$major.$minor}${version:-an unknown version}"
fi

if ! command -v dpkg-query >/dev/null; then
    say "no Debian: make sure that OpenBLAS (static library) and SentencePiece are installed with their headers"
    exit 0
fi

missing=()
for package in "${packages[@]}"; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [[ $state == installed ]] || missing+=("$package")
done
if ((${#missing[@]} == 0)); then exit 0; fi

say "installing the Debian packages ${missing[*]}"
root=()
if ((EUID != 0)); then
    if ! command -v sudo >/dev/null; then
        say "that needs root, and there is no sudo; as root run: apt-get update && apt-get install -y ${missing[*]}"
        exit 1
    fi
    root=(sudo)
fi
export DEBIAN_FRONTEND=noninteractive
"${root[@]}" apt-get update -qq
"${root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
say "done"
