#!/usr/bin/env bash
# The packages of the corpus "people", into a folder: 348 MB, by apt-get, without root and installed
# nowhere.
#
#   examples/people/fetch.sh packages                 # the versions of packages.txt, checked
#   examples/people/fetch.sh packages --any-version   # those that this system's apt knows
#
# What is there already stays; where apt doesn't know a version it is named, with what apt has.
set -euo pipefail

if [[ $# -lt 1 || $# -gt 2 || $1 == -* || (${2:-} != "" && ${2:-} != --any-version) ]]; then
    echo "usage: $0 FOLDER [--any-version]" >&2
    exit 2
fi
if ! command -v apt-get > /dev/null; then
    echo "$0: no apt-get here; download the packages of packages.txt from Debian into $1" >&2
    exit 1
fi
list=$(cd "$(dirname "$0")" && pwd)/packages.txt
mkdir -p "$1"
cd "$1"

wrong=0
while read -r name version bytes sha256; do
    [[ $name == "#" ]] && continue
    file=${name}_${version/:/%3a}_all.deb
    if [[ ${2:-} == --any-version ]]; then
        compgen -G "${name}_*.deb" > /dev/null || apt-get download "$name" || wrong=1
        continue
    fi
    if [[ ! -f $file ]] && ! apt-get download "$name=$version"; then
        known=$(apt-cache madison "$name" | awk '{print $3}' | sort -u | tr '\n' ' ')
        echo "$0: apt has no $name $version, but: ${known:-nothing (apt-get update?)}; --any-version takes that" >&2
        wrong=1
    elif ! echo "$sha256  $file" | sha256sum --check --quiet -; then
        echo "$0: $file isn't the one of packages.txt ($bytes bytes); remove it and start again" >&2
        wrong=1
    fi
done < "$list"
exit "$wrong"
