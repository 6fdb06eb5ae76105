# SPDX-License-Identifier: Apache-2.0
# Sourced by what measures, in the project's folder: checks and exports SECONDS_EACH, builds, runs beside servers.
seconds() { # NAME VALUE
    [[ $2 =~ ^[1-9][0-9]{0,3}$ && $2 -le 3600 ]] ||
        { echo "$1 is a whole number from 1 to 3600, not '$2'" >&2; exit 2; }
}
export SECONDS_EACH=${SECONDS_EACH:-5}
seconds SECONDS_EACH "$SECONDS_EACH"

measure() { # SCRIPT: does not return
    . tools/packages.sh
    . tools/tools.sh
    ensure_packages "${packages_test[@]}"
    PATH=$PATH:/usr/sbin
    python_tools
    cmake --preset release >/dev/null
    cmake --build --preset release >/dev/null
    CMESH_BUILD=$PWD/build/release WITH_SERVERS_FSYNC=on exec tests/support/with-servers "$python" "$1"
}
