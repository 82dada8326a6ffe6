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

# A sandbox, under all that confines the service.
mkdir -p /var/lib/larder/program
echo 'print("in a sandbox")' >/var/lib/larder/program/main.py
chown -R larder:larder /var/lib/larder/program
cat >/usr/local/bin/sandbox <<'END'
#!/bin/sh
bwrap --unshare-all --unshare-user --disable-userns --die-with-parent --new-session --uid 1000 --gid 1000 \
    --hostname sandbox --cap-drop ALL --clearenv --setenv PATH /usr/bin:/bin \
    --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 \
    --proc /proc --dev /dev --perms 1777 --size 1048576 --tmpfs /dev/shm --remount-ro /dev --tmpfs /tmp \
    --ro-bind /var/lib/larder/program /app --chdir /app --remount-ro / \
    -- /usr/bin/prlimit --nproc=64:64 -- /usr/bin/python3 -B /app/main.py >/var/lib/larder/program/said 2>&1
group=$(sed -n 's/^0:://p' /proc/self/cgroup)
for tree in /sys/fs/cgroup /sys/fs/cgroup/unified; do
    [ -d "$tree$group" ] && mkdir "$tree$group/run" && echo "a control group of its own" >>/var/lib/larder/program/said
done
exit 0
END
chmod 755 /usr/local/bin/sandbox
sed -e 's|^ExecStart=.*|ExecStart=/usr/local/bin/sandbox|; s|^Type=.*|Type=oneshot|' \
    -e '/^WatchdogSec/d; /^Restart/d; /^NotifyAccess/d; /^ExecReload/d; /^RuntimeDirectory/d' \
    /usr/lib/systemd/system/larder.service >/run/systemd/system/boxed.service
systemctl daemon-reload
systemctl start boxed.service
told "sandbox" "$(tr '\n' ',' </var/lib/larder/program/said)"

systemctl stop larder.socket larder.service
told "stopped with" "$(property Result)"
rm -rf /var/lib/larder/program
