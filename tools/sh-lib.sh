# shellcheck shell=bash
# What ./run and ./test share: steps with a live line on a terminal, plain lines otherwise, and all
# they print in a log.  Set LOG before the first step.

say()
{
    printf '%s\n' "$*"
}

# fail WHAT WHY NEXT: three lines, exit status 1.
fail()
{
    printf '%s: %s\nwhy:  %s\nnext: %s\n' "${0##*/}" "$1" "$2" "$3" >&2
    exit 1
}

if [ -t 1 ] && [ "${TERM:-dumb}" != dumb ]; then
    live=1
else
    live=
fi

# One line of the log without colours and control characters, to show beside a step.
last_words()
{
    tail -c 2000 "$LOG" | tr '\r' '\n' | sed 's/\x1b\[[0-9;]*[A-Za-z]//g' | tr -d '\000-\011\013-\037' | grep -v '^ *$' | tail -1
}

# watch_step PID TEXT: redraws the line until the process has ended.
watch_step()
{
    local begin=$SECONDS columns line
    columns=$(tput cols 2> /dev/null || echo 80)
    while kill -0 "$1" 2> /dev/null; do
        line=$(printf '... %4ss  %s: %s' $((SECONDS - begin)) "$2" "$(last_words)")
        printf '\r\033[K%s' "${line:0:$((columns - 1))}"
        sleep 0.2
    done
    printf '\r\033[K'
}

# try TEXT COMMAND...: runs it with its output in the log; says "ok" or "FAILED" and how long it
# took.  Leaves its status in 'status' instead of returning it: a caller that wrote `try ... ||`
# would switch off the shell's errexit inside the command too.
status=0
try()
{
    local text=$1 begin=$SECONDS pid
    shift
    printf '\n== %s: %s\n' "$text" "$*" >> "$LOG"
    set +e
    set -m # A process group of its own, so that an interrupt reaches all of it.
    (
        set +m
        set -e
        "$@"
    ) >> "$LOG" 2>&1 < /dev/null &
    pid=$!
    set +m
    trap 'kill -- -$pid 2> /dev/null; echo; exit 130' INT TERM
    [ -z "$live" ] || watch_step "$pid" "$text"
    wait "$pid"
    status=$?
    trap - INT TERM
    set -e
    if [ "$status" = 0 ]; then
        printf 'ok  %4ss  %s\n' $((SECONDS - begin)) "$text"
    else
        printf 'FAILED %ss  %s (status %s)\n' $((SECONDS - begin)) "$text" "$status"
    fi
}

# step TEXT COMMAND...: as try; a failure ends the script with the end of the log.
step()
{
    local from
    from=$(wc -c < "$LOG")
    try "$@"
    if [ "$status" != 0 ]; then
        tail -c +$((from + 1)) "$LOG" | tail -n 20 | sed 's/^/    /' >&2
        printf 'all of it: %s\n' "$LOG" >&2
        exit 1
    fi
}
