# SPDX-License-Identifier: Apache-2.0
# Which Debian packages cmesh needs, how they are installed, and where Postgres is. Sourced by ./run, ./test and the like.

packages_run=(gcc libc6-dev cmake ninja-build pkg-config protobuf-compiler libprotoc-dev
    protobuf-c-compiler libprotobuf-c-dev nanopb libnanopb-dev libgrpc-dev libnats-dev
    libpq-dev libssl-dev zlib1g-dev libmicrohttpd-dev libjansson-dev postgresql nats-server)
packages_images=("${packages_run[@]}" ca-certificates git python3 python3-venv)
packages_test=("${packages_images[@]}" grpc-proto libcmocka-dev clang clang-format clang-tidy
    libclang-rt-dev prometheus procps)

# Run as root. Servers that a package brings along must not start by themselves: ours run on their own ports.
install_packages='
set -eu
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap "rm -f $policy" EXIT
    trap "exit 130" INT TERM HUP
    printf "#!/bin/sh\nexit 101\n" >"$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "$@" >/dev/null'

# ensure_packages NAME...: installs what is missing; where it cannot, it names them and fails.
ensure_packages() {
    local missing=() name sudo=() system
    for name in "$@"; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
    done
    [ ${#missing[@]} -gt 0 ] && [ "${CMESH_PACKAGES:-}" != installed ] || return 0
    system=$(. "${CMESH_OS_RELEASE:-/etc/os-release}" 2>/dev/null && echo "${ID:-} ${VERSION_ID:-}")
    if [ "$system" != "debian 12" ]; then
        echo "This is not Debian 12. Install what its packages have, then set CMESH_PACKAGES=installed: ${missing[*]}" >&2
        return 1
    fi
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || { echo "Root or sudo is needed to install these packages: ${missing[*]}" >&2; return 1; }
        sudo=(sudo)
    fi
    echo "Installing ${#missing[@]} packages: ${missing[*]}"
    "${sudo[@]}" sh -c "$install_packages" sh "${missing[@]}" ||
        { echo "These packages could not be installed: ${missing[*]}" >&2; return 1; }
}

# postgres_bin [VERSION]: the folder of the newest Postgres server, or of that version's; there may be clients alone, too.
postgres_bin() {
    local initdb
    initdb=$(ls -d "${CMESH_POSTGRES:-/usr/lib/postgresql}"/${1:-*}/bin/initdb 2>/dev/null | sort -V | tail -1)
    [ -n "$initdb" ] && echo "${initdb%/initdb}"
}
