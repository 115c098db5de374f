#!/bin/sh
# Holds the writes of this machine's data file systems for one snapshot, and lets them go.
#
# What Holdfast calls before and after CreateSnapshots, by the SSM document that infra/template.yaml
# makes of this file. Systems Manager puts the two parameters in where braces stand, with the meaning
# and the exit codes of AWS's own documents for pre- and post-scripts:
#   201 pre-script failed              204 pre-script not expected (one holds, or this one is over)
#   202 post-script failed             205 post-script not expected (nothing is held by it)
#   203 the timer let writes go first  206 not ready for a pre-script
#
# A timer of its own session is armed before the first write is held, and lets all of them go after
# AUTO_THAW seconds, whether or not anybody ever calls again. Never frozen is what the machine needs
# to hear the post-script: the file systems that hold /, /boot, /etc, /run, /tmp, /usr, /var, and the
# agent's own folders. A data file system such as /var/lib/mysql is frozen when it is mounted by
# itself. What lies on the root volume is crash-consistent at best: keep data on volumes of its own.
#
# /etc/holdfast/freeze.conf, where it exists, is read as shell and may set:
#   MOUNTS="/data /var/lib/mysql"  only these; else every ext, XFS and Btrfs file system but those above
#   AUTO_THAW=60                   seconds, 1 to 300
#   HOOKS_SUFFICE=yes              succeed where there is no file system to freeze
#   before_freeze() { …; }         run before the freeze; any failure ends the pre-script
#   after_thaw() { …; }            run after the thaw, also by the timer
# Examples of such functions. InnoDB and PostgreSQL recover from what fsfreeze leaves by themselves;
# these only shorten the recovery, and need credentials of their own (such as root's .my.cnf):
#   MySQL:       before_freeze() { mysql -e 'FLUSH ENGINE LOGS; FLUSH BINARY LOGS'; }
#   PostgreSQL:  before_freeze() { su postgres -c "psql -qc CHECKPOINT"; }
#   MongoDB:     before_freeze() { mongosh --quiet --eval 'db.fsyncLock()'; }
#                after_thaw()    { mongosh --quiet --eval 'db.fsyncUnlock()'; }
set -u
PATH=${HOLDFAST_PATH:-/usr/sbin:/usr/bin:/sbin:/bin}
export PATH

COMMAND='{{ command }}'
EXECUTION='{{ executionId }}'

# A file system in memory, which is never frozen and is empty after a reboot, as no freeze outlives one.
STATE=${HOLDFAST_STATE:-/run/holdfast}
TABLE=${HOLDFAST_MOUNTINFO:-/proc/self/mountinfo}
CONFIG=${HOLDFAST_CONFIG:-/etc/holdfast/freeze.conf}

MOUNTS=
AUTO_THAW=60
HOOKS_SUFFICE=no
before_freeze() { :; }
after_thaw() { :; }

say() { printf '%s\n' "holdfast: $*" >&2; }

end() {
    code=$1
    shift
    say "$*"
    exit "$code"
}

if [ -r "$CONFIG" ]; then
    # shellcheck source=/dev/null
    . "$CONFIG"
fi
case $AUTO_THAW in
'' | *[!0-9]*) end 201 "AUTO_THAW is $AUTO_THAW; it must be a whole number from 1 to 300" ;;
esac
if [ "$AUTO_THAW" -lt 1 ] || [ "$AUTO_THAW" -gt 300 ]; then
    end 201 "AUTO_THAW is $AUTO_THAW; it must be a whole number from 1 to 300"
fi

# What belongs to this freeze while it stands, and after it.
HELD=$STATE/held-$EXECUTION
OVER=$STATE/over/$EXECUTION

# The file systems to freeze, one a line, the ones mounted last first: a file system in a file of
# another must be frozen before that one. Fails where MOUNTS names one that must not be frozen.
data_mounts() {
    awk -v wanted="$MOUNTS" '
        function holds(at, what) {
            return at == "/" || what == at || index(what, at "/") == 1
        }
        {
            for (dash = 7; dash <= NF && $dash != "-"; dash++);
            count++
            device[count] = $3; mount[count] = $5; options[count] = $6
            type[count] = $(dash + 1); source[count] = $(dash + 2)
        }
        END {
            paths = split("/ /boot /boot/efi /etc /run /tmp /usr /usr/bin /usr/sbin /usr/lib /var " \
                "/var/lib /var/lib/amazon /var/log /var/log/amazon /var/tmp /var/snap /snap /root", path, " ")
            for (p = 1; p <= paths; p++) {
                best = 0
                for (n = 1; n <= count; n++)
                    if (holds(mount[n], path[p]) && (!best || length(mount[n]) >= length(mount[best])))
                        best = n
                if (best) { never[device[best]] = 1; never[source[best]] = 1 }
            }
            names = split(wanted, name, " ")
            for (w = 1; w <= names; w++) asked[name[w]] = 1
            for (n = count; n >= 1; n--) {
                if (names && !(mount[n] in asked)) continue
                why = ""
                if (type[n] !~ /^(ext[34]|xfs|btrfs)$/ || source[n] !~ /^\/dev\//) why = "cannot be frozen"
                else if (device[n] in never || source[n] in never) why = "holds what the machine runs on"
                else if (("," options[n] ",") ~ /,ro,/) why = "is read-only"
                else if (mount[n] ~ /\\/) why = "has a blank or a backslash in its path"
                if (why == "" || mount[n] in asked) found[mount[n]] = 1
                if (why != "") {
                    # Not frozen and yet data: the backup would not be what it says.
                    if (mount[n] in asked || why ~ /^has/) {
                        print "holdfast: " mount[n] " " why > "/dev/stderr"
                        failed = 1
                    }
                    continue
                }
                if (!(device[n] in done)) { print mount[n]; done[device[n]] = 1 }
            }
            for (w = 1; w <= names; w++)
                if (!(name[w] in found)) {
                    print "holdfast: " name[w] " is not mounted" > "/dev/stderr"
                    failed = 1
                }
            exit failed
        }' "$TABLE"
}

# Lets go what OVER lists, by whoever has moved it there and so is the only one.
thaw() {
    left=0
    while read -r mount; do
        if ! fsfreeze --unfreeze "$mount"; then
            # Not frozen yet, or not any more, is as good.
            say "cannot thaw $mount"
            left=1
        fi
    done <"$OVER/frozen"
    [ ! -e "$OVER/hooked" ] || after_thaw || left=1
    rm -f "$STATE/current"
    return "$left"
}

# Makes this freeze over, for whoever comes first.
claim() { mv -T "$HELD" "$OVER" 2>/dev/null; }

timer() {
    : >"$HELD/timer"
    sleep "$AUTO_THAW"
    if claim; then
        echo timer >"$OVER/result"
        thaw
    fi
}

pre_failed() {
    if claim; then
        echo failed >"$OVER/result"
        thaw
    fi
    end 201 "$*"
}

arm() {
    # Out of reach of whoever ends this command's process group, and of its output.
    HOLDFAST_TIMER=$EXECUTION setsid sh "$HELD/script" </dev/null >/dev/null 2>&1 &
    tries=0
    until [ -e "$HELD/timer" ]; do
        tries=$((tries + 1))
        [ "$tries" -le 50 ] || return 1
        sleep 0.1
    done
}

pre() {
    for tool in awk fsfreeze mv setsid sleep; do
        command -v "$tool" >/dev/null || end 206 "$tool is not installed"
    done
    mkdir -p "$STATE/over" || end 206 "cannot write to $STATE"
    chmod 700 "$STATE"
    # What a killed command left behind; its timer, if it had one, fired long ago.
    find "$STATE" -maxdepth 1 -name current -mmin +15 -exec rm -f {} +
    find "$STATE/over" -mindepth 1 -maxdepth 1 -mmin +1440 -exec rm -rf {} +
    [ ! -e "$OVER" ] || end 204 "execution $EXECUTION is over"
    if ! ln -s "$EXECUTION" "$STATE/current" 2>/dev/null; then
        if [ -e "$HELD/ready" ]; then
            say "writes are held for $EXECUTION already"
            exit 0
        fi
        end 204 "writes are held for $(readlink "$STATE/current")"
    fi
    if ! { mkdir "$HELD" && : >"$HELD/frozen" && cp "$0" "$HELD/script"; }; then
        rm -rf "$HELD" "$STATE/current"
        end 201 "cannot keep account of a freeze in $STATE"
    fi
    data_mounts >"$HELD/mounts" || pre_failed "not every file system can be frozen"
    if [ ! -s "$HELD/mounts" ] && [ "$HOOKS_SUFFICE" != yes ]; then
        pre_failed "there is no data file system to freeze"
    fi
    # Before anything is held, the database's locks included.
    arm || pre_failed "the timer could not be armed"
    : >"$HELD/hooked" || end 201 "the timer came first"
    before_freeze || pre_failed "before_freeze failed"
    while read -r mount; do
        # Listed first: whoever thaws in the meantime knows of it.
        echo "$mount" >>"$HELD/frozen" || end 201 "the timer came before $mount was frozen"
        if ! fsfreeze --freeze "$mount"; then
            grep -Fvx "$mount" "$HELD/frozen" >"$HELD/frozen.new"
            mv "$HELD/frozen.new" "$HELD/frozen"
            pre_failed "cannot freeze $mount"
        fi
        if [ ! -e "$HELD/frozen" ]; then
            fsfreeze --unfreeze "$mount"
            end 201 "the timer came while $mount was being frozen"
        fi
    done <"$HELD/mounts"
    : >"$HELD/ready" || end 201 "the timer came first"
    say "writes are held, for $AUTO_THAW s at most"
}

post() {
    mkdir -p "$STATE/over" || end 202 "cannot write to $STATE"
    if claim; then
        if thaw; then
            echo thawed >"$OVER/result"
            say "writes go on"
            return
        fi
        echo failed >"$OVER/result"
        end 202 "not every file system could be thawed"
    fi
    case $(cat "$OVER/result" 2>/dev/null) in
    thawed) say "writes went on before" ;;
    timer) end 203 "the timer let writes go before" ;;
    *)
        # A pre-script that is still on its way comes too late.
        mkdir -p "$OVER"
        end 205 "nothing is held for $EXECUTION"
        ;;
    esac
}

if [ "${HOLDFAST_TIMER:-}" = "$EXECUTION" ]; then
    timer
    exit
fi
case $COMMAND in
dry-run) exit 0 ;;
pre-script | post-script) ;;
*) end 201 "$COMMAND is no command" ;;
esac
case $EXECUTION in
*[!0-9A-Za-z-]* | '' | None) end 201 "executionId is $EXECUTION; it must be a UUID" ;;
esac
case $COMMAND in
pre-script) pre ;;
post-script) post ;;
esac
