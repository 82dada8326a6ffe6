#!/bin/bash
# Run by the service manager of a booted root (package.py --boot), where larder is installed; writes one line
# a fact to /var/tmp/facts, and turns the machine off.
facts=/var/tmp/facts
: >"$facts"
told() { echo "$1: $2" >>"$facts"; }
property() { systemctl show larder.service -p "$1" --value; }
trap 'systemctl poweroff' EXIT

# Until a command's answer is as wanted, or half a minute long; tells what it was at last.
await() {
    local name=$1 wanted=$2 got
    shift 2
    for _ in $(seq 300); do
        got=$("$@" 2>&1)
        [ "$got" = "$wanted" ] && break
        sleep 0.1
    done
    told "$name" "$got"
}

await "after boot" active systemctl is-active larder.service
told "status" "$(property StatusText)"
told "controllers" "$(property DelegateControllers)"
told "by tcp" "$(curl -s -m 10 127.0.0.1:8080/healthz)"
told "by its socket" "$(curl -s -m 10 --unix-socket /run/larder/larder.sock http://localhost/healthz)"
told "larderctl" "$(larderctl status | awk '$1 == "data" { print $2 }')"
told "stored" "$(curl -s -m 10 -o /dev/null -w '%{http_code}' -X PUT 127.0.0.1:8080/api/kv/booted/a -d 1)"

# Clients come throughout three restarts.
over=/var/tmp/over
rm -f "$over"
(
    answered=0 refused=0
    while [ ! -e "$over" ]; do
        if curl -s -m 20 -o /dev/null 127.0.0.1:8080/healthz; then answered=$((answered + 1)); else refused=$((refused + 1)); fi
    done
    [ "$answered" -gt 20 ] && told "answered" many
    told "refused" "$refused"
) &
for _ in 1 2 3; do
    systemctl restart larder.service
    sleep 0.3
done
touch "$over"
wait

systemctl reload larder.service
told "reload" "$?"
await "after the reload" active systemctl is-active larder.service

# One that does not get on is killed and started anew; one that does is left alone for longer than that.
mkdir -p /run/systemd/system/larder.service.d
printf '[Service]\nWatchdogSec=3s\n' >/run/systemd/system/larder.service.d/watchdog.conf
systemctl daemon-reload
systemctl restart larder.service
sleep 6
told "restarts of one that gets on" "$(property NRestarts)"
kill -STOP "$(property MainPID)"
await "restarts of one that is stopped" 1 property NRestarts
await "after the watchdog" active systemctl is-active larder.service
told "what was stored" "$(curl -s -m 10 127.0.0.1:8080/api/kv/booted/a)"

# Programs, under all that confines the service.
execute() {  # FILE TEXT: the answer of a run
    local id
    printf '%s\n' "$2" >"/var/tmp/$1"
    id=$(curl -s -m 10 -F "file=@/var/tmp/$1" 127.0.0.1:8080/api/programs | member program_id)
    curl -s -m 60 -X POST "127.0.0.1:8080/api/programs/$id/execute"
}
member() { sed -n "s/.*\"$1\": *\"\([^\"\\\\]*\).*/\1/p"; }  # its text, or its first line
execute main.py 'print("in a sandbox")' >/var/tmp/run
told "a program" "$(member stdout </var/tmp/run), $(member state </var/tmp/run)"
# Controllers of the old kind are root's alone.
[ -e /sys/fs/cgroup/cgroup.controllers ] && wanted=full || wanted=reduced
told "isolation" "$([ "$(member isolation </var/tmp/run)" = $wanted ] && echo "as it should be")"
told "memory is bounded" "$(execute hog.py 'x = bytearray(700 << 20)
for i in range(0, len(x), 4096): x[i] = 1' | member limit_hit)"
told "processes are bounded" "$(execute many.sh 'for i in $(seq 200); do sleep 2 & done 2>/dev/null; wait' | member limit_hit)"
told "the daemon's files" "$(execute spy.py 'import os; print(os.path.exists("/var/lib/larder"))' | member stdout)"
told "children" "$(pgrep -c -P "$(property MainPID)")"

systemctl stop larder.socket larder.service
told "stopped with" "$(property Result)"
