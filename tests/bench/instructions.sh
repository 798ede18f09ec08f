#!/usr/bin/env bash
# User instructions per delivery in the dispatcher, counted by callgrind: the same whatever else the machine does. Two
# runs of different lengths; their difference leaves out starting and stopping. Held against instructions.txt with 10 % of
# room; with --write, written there. Exit 69: there is no valgrind.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly figures=tests/bench/instructions.txt
readonly short=20000 long=60000 room=10
program=${CARGO_TARGET_DIR:-target}/release/hookwire
readonly program
scratch=$(mktemp -d)
readonly scratch
dispatcher=
trap '[ -z "$dispatcher" ] || kill "$dispatcher" 2>/dev/null || true; rm -rf "$scratch"' EXIT

# glibc copies large blocks with one instruction that callgrind counts once for every byte: not so.
export GLIBC_TUNABLES=glibc.cpu.x86_rep_movsb_threshold=1073741824:glibc.cpu.x86_rep_stosb_threshold=1073741824

# total SUBSCRIBERS EVENTS: all instructions of a dispatcher that delivers these.
total() {
    local address=unix:$scratch/socket log=$scratch/callgrind.log
    rm -f "$scratch/socket"
    RUST_LOG=error valgrind --tool=callgrind --callgrind-out-file=/dev/null --log-file="$log" \
        "$program" serve --in-memory --listen "$address" >"$scratch/serve.log" &
    dispatcher=$!
    for _ in $(seq 600); do
        [ -S "$scratch/socket" ] && break
        kill -0 "$dispatcher" || return 1
        sleep 0.1
    done
    "$program" bench --to "$address" --subscribers "$1" --events "$2" --json >"$scratch/bench.json"
    kill -TERM "$dispatcher"
    wait "$dispatcher"
    dispatcher=
    awk '/Collected :/ { print $NF }' "$log"
}

per_delivery() {
    local few many
    few=$(total "$1" "$short")
    many=$(total "$1" "$long")
    echo $(((many - few) / ((long - short) * $1)))
}

if ! command -v valgrind >/dev/null; then
    echo 'there is no valgrind (Debian: apt-get install valgrind)'
    exit 69
fi
[ -x "$program" ] || { echo "$program is not built: cargo build --release"; exit 1; }

[ "${1-}" = --write ] && printf '# subscribers, user instructions per delivery in the dispatcher\n' >"$figures"
outcome=0
for subscribers in 1 8; do
    now=$(per_delivery "$subscribers")
    if [ "${1-}" = --write ]; then
        echo "$subscribers $now" | tee -a "$figures"
        continue
    fi
    held=$(awk -v of="$subscribers" '$1 == of { print $2 }' "$figures")
    echo "$subscribers subscribers: $now instructions per delivery, $held when last written"
    if ((now * 100 > held * (100 + room))); then
        echo "that is more than $room % above; where it must be so: just instructions --write"
        outcome=1
    fi
done
exit "$outcome"
