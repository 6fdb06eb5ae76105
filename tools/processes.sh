# SPDX-License-Identifier: Apache-2.0
# The processes of ./run: one a name, each with its log. Sourced by it; $state is the folder of the pid files and logs.
#
# A process is known by its number and its birth: after a crash or a reboot a number may be another's.
declare -A pid born started_at

# birth NUMBER: into $birth when the process began, in ticks of this boot; fails if it has ended.
birth() {
    local stat fields boot
    birth=
    [ -n "$1" ] || return 1
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    read -ra fields <<<"${stat##*) }"
    [ "${fields[0]}" != Z ] || return 1
    read -r boot </proc/sys/kernel/random/boot_id
    birth="$boot ${fields[19]}"
}
is_same() { birth "$1" && [ "$birth" = "$2" ]; } # NUMBER BIRTH
alive() { is_same "${pid[$1]}" "${born[$1]}"; }  # NAME

# launch NAME COMMAND...: in a session of its own, for Ctrl-C is for ./run, which then stops everything in order.
launch() {
    local name=$1
    shift
    mkdir -p "$state/log"
    (cd / && exec setsid "$@") >>"$state/log/$name.log" 2>&1 </dev/null 9>&- &
    pid[$name]=$!
    started_at[$name]=$SECONDS
    birth $! || true
    born[$name]=$birth
    echo "${pid[$name]}" >"$state/$name.pid"
    echo "${born[$name]}" >"$state/$name.born"
}
# keep_running NAME COMMAND...: the same, and bash has nothing to say when it is killed.
keep_running() {
    launch "$@"
    disown "${pid[$1]}" 2>/dev/null || true
}

# What else was started here: into found[NAME] the processes that write to NAME's log, the oldest first, even if nothing
# of the folder is left.
declare -A found
find_started() {
    local path out name number
    found=()
    while IFS=$'\t' read -r path out; do
        out=${out% (deleted)}
        name=${out#"$state/log/"}
        [ "$name" != "$out" ] && [[ $name =~ ^[a-z]+\.log$ ]] || continue
        number=${path#/proc/}
        number=${number%%/*}
        name=${name%.log}
        if is_older "$number" "${found[$name]:-}"; then
            found[$name]="$number ${found[$name]:-}"
        else
            found[$name]+=" $number"
        fi
    done < <(exec 8>&- 9>&-; find /proc/[0-9]*/fd/1 -maxdepth 0 -printf '%p\t%l\n' 2>/dev/null)
}
is_older() { # NUMBER OTHERS: than the first of them?
    local mine
    birth "$1" || return 1
    mine=${birth#* }
    birth "${2%% *}" || return 0
    [ "$mine" -lt "${birth#* }" ]
}

# lock_holders: the other ./run of this folder, by their numbers; "N deleted" if the lock was removed meanwhile.
lock_holders() {
    local path out number deleted
    while IFS=$'\t' read -r path out; do
        deleted=
        [ "${out% (deleted)}" = "$out" ] || deleted=" deleted"
        number=${path#/proc/}
        number=${number%%/*}
        [ "${out% (deleted)}" != "$state/lock" ] || [ "$number" = $$ ] || [ "$number" = "$BASHPID" ] || echo "$number$deleted"
    done < <(exec 8>&- 9>&-; find /proc/[0-9]*/fd/9 -maxdepth 0 -printf '%p\t%l\n' 2>/dev/null)
}

# stop_one NAME SIGNAL SECONDS: the process that we know of, that the files tell of and that was found. What does not
# end is killed; what then still runs gets into the array unstopped.
stop_one() {
    local name=$1 number file=$state/$1
    stop_process "$@" "${pid[$name]:-}" "${born[$name]:-}"
    stop_process "$@" "$(cat "$file.pid" 2>/dev/null)" "$(cat "$file.born" 2>/dev/null)"
    for number in ${found[$name]:-}; do
        if birth "$number"; then stop_process "$@" "$number" "$birth"; fi
    done
    rm -f "$file.pid" "$file.born"
}
stop_process() { # NAME SIGNAL SECONDS NUMBER BIRTH
    local number=$4 born=$5 end=$((SECONDS + $3))
    [[ $number =~ ^[0-9]+$ ]] && is_same "$number" "$born" || return 0
    kill "-$2" "$number" 2>/dev/null || true
    kill -CONT "$number" 2>/dev/null || true # it may have been stopped by hand
    while is_same "$number" "$born" && [ $SECONDS -lt "$end" ]; do sleep 0.02 9>&-; done
    is_same "$number" "$born" || return 0
    kill -KILL "$number" 2>/dev/null || true
    end=$((SECONDS + 5))
    while is_same "$number" "$born"; do
        [ $SECONDS -lt "$end" ] || { unstopped+=("$1 (process $number)"); return 0; }
        sleep 0.02 9>&-
    done
}
