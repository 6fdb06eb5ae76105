# SPDX-License-Identifier: Apache-2.0
# Which Debian packages cmesh needs, and how they are installed. Sourced by ./run and ./test.

packages_run=(build-essential cmake ninja-build pkg-config protobuf-compiler libprotoc-dev
    protobuf-c-compiler libprotobuf-c-dev nanopb libnanopb-dev grpc-proto libgrpc-dev libnats-dev
    libpq-dev libssl-dev libmicrohttpd-dev postgresql nats-server python3)
packages_test=("${packages_run[@]}" libcmocka-dev clang clang-format clang-tidy llvm libclang-rt-14-dev
    prometheus python3-venv curl git nghttp2-client)

# ensure_packages NAME...: installs what is missing; on a system without apt it names them and fails.
ensure_packages() {
    local missing=() name sudo=()
    for name in "$@"; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null && sudo=(sudo)
    fi
    if ! command -v apt-get >/dev/null || { [ "$(id -u)" != 0 ] && [ ${#sudo[@]} = 0 ]; }; then
        echo "These Debian 12 packages (or their like) are needed: ${missing[*]}" >&2
        return 1
    fi
    echo "Installing ${#missing[@]} packages: ${missing[*]}"
    # Servers that a package brings along must not start by themselves; ours run on their own ports.
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee "$policy" >/dev/null
        "${sudo[@]}" chmod 755 "$policy"
    else
        policy=
    fi
    local code=0
    "${sudo[@]}" apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends \
            "${missing[@]}" >/dev/null || code=1
    [ -z "$policy" ] || "${sudo[@]}" rm -f "$policy"
    return "$code"
}
