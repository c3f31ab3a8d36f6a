#!/bin/bash
# Installs those Debian packages of the named purposes that are missing.
#     tools/install-deps.sh [--check] PURPOSE...            (purposes: tools/packages.txt)
# --check installs nothing and prints what is missing.  Exit status: 0 all there; 1 missing or not
# installable; 2 usage.  An ordinary user needs sudo, and only if something is missing.
set -euo pipefail

list=$(dirname "$0")/packages.txt
check=
[ "${1:-}" != --check ] || { check=1; shift; }
[ $# -gt 0 ] || { sed -n '2,3s/^# *//p' "$0" >&2; exit 2; }

fail()
{
    printf 'install-deps: %s\nwhy:  %s\nnext: %s\n' "$1" "$2" "$3" >&2
    exit 1
}

command -v apt-get > /dev/null || fail "cannot install packages" "this is no Debian (no apt-get)" \
    "install what $list names by other means"

wanted=()
for purpose in "$@"; do
    read -ra names < <(sed -n "s/^$purpose: *//p" "$list" | tr '\n' ' ') || true
    [ "${#names[@]}" -gt 0 ] || { echo "install-deps: no purpose $purpose in $list" >&2; exit 2; }
    wanted+=("${names[@]}")
done

# Sets the array 'missing'.
find_missing()
{
    missing=()
    local name
    for name in "${wanted[@]}"; do
        # A package may be there under another name that provides it (pkgconf for pkg-config).
        case $(dpkg-query -W -f '${db:Status-Status}' "$name" 2> /dev/null) in
        installed*) ;;
        *) missing+=("$name") ;;
        esac
    done
}

find_missing
if [ "${#missing[@]}" = 0 ]; then
    exit 0
elif [ -n "$check" ]; then
    printf '%s\n' "${missing[@]}"
    exit 1
fi

command="apt-get install --no-install-recommends ${missing[*]}"
as_root=()
if [ "$(id -u)" != 0 ]; then
    command -v sudo > /dev/null ||
        fail "${#missing[@]} packages are missing" "only root can install packages, and there is no sudo" "as root: $command"
    as_root=(sudo)
fi
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)

echo "installing ${missing[*]}"
# Package lists may be missing (a fresh chroot) or name versions that the mirror no longer has.
if ! compgen -G '/var/lib/apt/lists/*_Packages*' > /dev/null ||
    ! "${apt[@]}" install --no-install-recommends "${missing[@]}"; then
    "${apt[@]}" update || fail "cannot read Debian's package lists" "see above" "check the network and /etc/apt/sources.list"
    "${apt[@]}" install --no-install-recommends "${missing[@]}" ||
        fail "cannot install packages" "see above" "$([ "$(id -u)" = 0 ] || echo 'as root: ')$command"
fi
find_missing
[ "${#missing[@]}" = 0 ] || fail "apt-get said yes, but ${missing[*]} is still missing" "unknown" "$command"
