# SPDX-License-Identifier: Apache-2.0
# How ./test counts; sourced by it, and by tests/static/counts. The logs are in $logs.

passed=0
failed=0
skipped=0
failures=()

# forget_reports: what an earlier run has left must not be counted again.
forget_reports() { rm -rf "$logs" && mkdir -p "$logs"; }

# check NAME COMMAND...: one test that is a command.
check() {
    local name=$1 log=$logs/${1//\//_}.log
    shift
    if "$@" >"$log" 2>&1; then
        passed=$((passed + 1))
        echo "ok      $name"
    else
        failed=$((failed + 1))
        failures+=("$name")
        echo "FAILED  $name"
        tail -40 "$log"
    fi
}
# skip NAME REASON: one that this machine cannot run.
skip() {
    skipped=$((skipped + 1))
    echo "skipped $1: $2"
}
# must NAME COMMAND...: what everything after it stands on; the run ends if it fails.
must() {
    check "$@"
    [ ${#failures[@]} = 0 ] || [ "${failures[-1]}" != "$1" ] || finish
}
# add_counts COMMAND...: adds what it counts.
add_counts() {
    local counts kind name
    if ! counts=$("$@"); then
        failed=$((failed + 1))
        failures+=("report ${*: -1}")
        return
    fi
    while read -r kind name; do
        case $kind in
        passed) passed=$((passed + name)) ;;
        failed) failed=$((failed + 1)); failures+=("$name") ;;
        skipped) skipped=$((skipped + 1)); echo "skipped $name" ;;
        esac
    done <<<"$counts"
}
# run_for_report REPORT COMMAND...: many tests that one command runs and writes a JUnit report of.
run_for_report() {
    local report=$1 code=0
    shift
    rm -f "$report" "${report%.xml}.code"
    "$@" >"${report%.xml}.log" 2>&1 || code=$?
    echo "$code" >"${report%.xml}.code"
}
# count_report REPORT: adds what came of it.
count_report() {
    local code
    code=$(cat "${1%.xml}.code") 2>/dev/null || code=255
    add_counts tests/support/junit_counts "$code" "$1"
    [ "$code" = 0 ] || tail -20 "${1%.xml}.log" || true # of one that did not begin there is none
}
with_report() { # REPORT COMMAND...
    run_for_report "$@"
    count_report "$1"
}
finish() {
    local name
    headline "done"
    for name in ${failures[@]+"${failures[@]}"}; do echo "FAILED  $name"; done
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
    exit $?
}
