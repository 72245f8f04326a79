#!/usr/bin/env bash
# Checks the models of the link protocol, of the dispatcher and of the log of several brokers:
# run.sh [--list] [--jobs N] [NAME].  N are run at a time; NAME selects the checks whose name
# contains it.
#
# A check is a model with some rules switched off.  Without such a switch (NO_..., TELL_EARLY) spin must
# find nothing in all of its states; with one it must find a counterexample, or the model would not notice
# that the rule is gone.
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)

jobs=2
memory_mb=3000
seconds=150

# name, model, what must come out, switches
checks()
{
	cat <<-'END'
	up/sequence            up pass -DQOS=22 -DID=0 -DFAULTS=2 -DK=3
	up/sequence-durable    up pass -DQOS=22 -DID=0 -DFAULTS=2 -DK=3 -DDURABLE -DCOUNT
	up/sequence-qos1       up pass -DQOS=11 -DID=0 -DFAULTS=2 -DK=3
	up/clean-move          up pass -DQOS=22 -DID=0 -DFAULTS=2 -DCLEAN -DSIDECARS=2 -DCOUNT
	up/clean-move-durable  up pass -DQOS=22 -DID=0 -DFAULTS=2 -DCLEAN -DSIDECARS=2 -DDURABLE
	up/clean-move-qos1     up pass -DQOS=11 -DID=0 -DFAULTS=2 -DCLEAN -DSIDECARS=2
	up/window              up pass -DQOS=22 -DID=1 -DFAULTS=2 -DK=2
	up/window-mixed        up pass -DQOS=21 -DID=1 -DFAULTS=2 -DK=2 -DTAKEOVER
	up/window-durable      up pass -DQOS=21 -DID=1 -DFAULTS=2 -DK=2 -DDURABLE
	up/window-move         up pass -DQOS=12 -DID=1 -DFAULTS=1 -DK=2 -DSIDECARS=2 -DCLEAN
	up/interleaved         up pass -DQOS=21 -DID=1 -DFAULTS=1 -DK=3
	up/transient           up pass -DQOS=22 -DID=0 -DFAULTS=3 -DTRANSIENT
	up/transient-window    up pass -DQOS=22 -DID=1 -DFAULTS=2 -DK=2 -DTRANSIENT
	up/transient-mixed     up pass -DQOS=21 -DID=1 -DFAULTS=2 -DK=2 -DTRANSIENT -DCOUNT
	up/no-needless-attach  up pass -DQOS=22 -DID=1 -DFAULTS=0 -DK=3 -DCOUNT -DATTACHES=1
	up/zombie              up pass -DQOS=22 -DID=0 -DFAULTS=2 -DK=2 -DDURABLE -DZOMBIE
	up/zombie-clean        up pass -DQOS=22 -DID=0 -DFAULTS=2 -DK=2 -DDURABLE -DZOMBIE -DCLEAN
	up/fence               up fail -DQOS=22 -DID=0 -DFAULTS=2 -DCLEAN -DNO_FENCE
	up/fence-waits         up fail -DQOS=22 -DID=0 -DFAULTS=2 -DCLEAN -DNO_FENCE_WAIT
	up/same-run            up fail -DQOS=21 -DID=1 -DFAULTS=1 -DK=2 -DNO_FENCE_WAIT -DNO_RUN_CHECK
	up/new-run             up fail -DQOS=22 -DID=0 -DFAULTS=2 -DNO_NEW_RUN
	up/run-lost            up fail -DQOS=22 -DID=0 -DFAULTS=2 -DDURABLE -DCOUNT -DNO_RUN_LOST
	up/outcome-run         up fail -DQOS=22 -DID=0 -DFAULTS=2 -DNO_OUTCOME_RUN
	up/skip                up fail -DQOS=21 -DID=1 -DFAULTS=1 -DK=2 -DNO_SKIP
	up/kept-outcomes       up fail -DQOS=22 -DID=0 -DFAULTS=2 -DNO_KEPT
	up/gap                 up fail -DQOS=22 -DID=1 -DFAULTS=1 -DK=2 -DNO_GAP
	up/failed-commit       up fail -DQOS=22 -DID=1 -DFAULTS=1 -DK=2 -DNO_FAIL_LATER
	up/held                up fail -DQOS=22 -DID=0 -DFAULTS=2 -DNO_HELD
	up/held-accepted       up fail -DQOS=22 -DID=0 -DFAULTS=2 -DNO_HELD_ACCEPTED
	up/number-order        up fail -DQOS=22 -DID=1 -DFAULTS=1 -DK=2 -DNO_ORDER
	up/own-connection      up fail -DQOS=22 -DID=0 -DFAULTS=2 -DTAKEOVER -DNO_CONNECTION
	up/connect-stops       up fail -DQOS=22 -DID=0 -DFAULTS=2 -DTAKEOVER -DCLEAN -DNO_CONNECT_STOPS
	up/clean-drops         up fail -DQOS=22 -DID=0 -DFAULTS=2 -DTAKEOVER -DCLEAN -DNO_CLEAN_DROP
	up/clean-once          up fail -DQOS=22 -DID=0 -DFAULTS=2 -DCLEAN -DNO_CLEAN_ONCE
	up/client-gone         up fail -DQOS=22 -DID=0 -DFAULTS=2 -DSIDECARS=2 -DNO_GONE
	up/fresh-lane          up fail -DQOS=22 -DID=0 -DFAULTS=2 -DSIDECARS=2 -DTAKEOVER
	up/stale-conflict      up fail -DQOS=22 -DID=1 -DFAULTS=0 -DK=3 -DCOUNT -DATTACHES=1 -DNO_STALE
	up/stored-held         up fail -DQOS=22 -DID=0 -DFAULTS=2 -DTRANSIENT -DNO_STORED_HELD
	up/stored-release      up fail -DQOS=22 -DID=0 -DFAULTS=2 -DTRANSIENT -DNO_STORED_RELEASE
	up/stored-clean        up fail -DQOS=22 -DID=0 -DFAULTS=2 -DTRANSIENT -DNO_STORED_CLEAN
	up/forgotten-number    up fail -DQOS=22 -DID=1 -DFAULTS=2 -DK=2 -DTRANSIENT -DNO_TOP
	down/one-id            down pass -DQOS=22 -DIDS=1 -DFAULTS=3
	down/one-id-durable    down pass -DQOS=22 -DIDS=1 -DFAULTS=3 -DDURABLE
	down/one-id-mixed      down pass -DQOS=21 -DIDS=1 -DFAULTS=2
	down/window            down pass -DQOS=22 -DFAULTS=2
	down/window-durable    down pass -DQOS=12 -DFAULTS=2 -DDURABLE
	down/window-qos1       down pass -DQOS=11 -DFAULTS=2 -DDURABLE
	down/transient         down pass -DQOS=22 -DIDS=1 -DFAULTS=3 -DTRANSIENT
	down/transient-window  down pass -DQOS=22 -DFAULTS=2 -DTRANSIENT
	down/transient-group   down pass -DQOS=12 -DFAULTS=2 -DTRANSIENT -DGROUP=11
	down/zombie            down pass -DQOS=22 -DIDS=1 -DFAULTS=2 -DDURABLE -DZOMBIE
	down/zombie-mixed      down pass -DQOS=12 -DIDS=1 -DFAULTS=2 -DDURABLE -DZOMBIE
	down/owner-epoch       down fail -DQOS=22 -DIDS=1 -DFAULTS=2 -DDURABLE -DZOMBIE -DNO_OWNER_EPOCH
	down/owner-commit      down fail -DQOS=22 -DIDS=1 -DFAULTS=2 -DDURABLE -DZOMBIE -DNO_OWNER_COMMIT
	down/release-waits     down fail -DQOS=22 -DFAULTS=2 -DNO_RELEASE_WAITS
	down/complete-frees    down fail -DQOS=22 -DFAULTS=2 -DNO_COMPLETE
	down/frame-epoch       down fail -DQOS=22 -DFAULTS=2 -DNO_FRAME_EPOCH
	down/settle-epoch      down fail -DQOS=22 -DFAULTS=2 -DNO_SETTLE_EPOCH
	down/fence-waits       down fail -DQOS=22 -DFAULTS=2 -DNO_FENCE_WAIT
	down/delivery-id       down fail -DQOS=22 -DFAULTS=2 -DNO_DELIVERY_ID
	down/origin            down fail -DQOS=22 -DFAULTS=2 -DNO_ORIGIN
	down/settle-again      down fail -DQOS=22 -DFAULTS=2 -DNO_DROP
	down/late-copy         down fail -DQOS=22 -DFAULTS=2 -DNO_GHOST
	down/expected          down fail -DQOS=22 -DFAULTS=2 -DNO_EXPECTED
	down/orphans           down fail -DQOS=22 -DFAULTS=2 -DNO_ORPHANS
	down/orphan-release    down fail -DQOS=22 -DFAULTS=2 -DNO_ORPHAN_RELEASE
	down/session-present   down fail -DQOS=22 -DIDS=1 -DFAULTS=3 -DNO_PRESENT
	down/credit-from-0     down fail -DQOS=22 -DFAULTS=2 -DNO_CREDIT
	down/keep-ids          down fail -DQOS=12 -DFAULTS=2 -DDURABLE -DNO_KEEP_IDS
	down/durable-id        down fail -DQOS=12 -DFAULTS=2 -DDURABLE -DNO_DURABLE_ID
	down/queue-order       down fail -DQOS=12 -DFAULTS=2 -DDURABLE -DNO_QUEUE_ORDER
	down/commit-first      down fail -DQOS=12 -DFAULTS=2 -DDURABLE -DNO_COMMIT_FIRST
	down/commit-first-transient down fail -DQOS=22 -DFAULTS=2 -DTRANSIENT -DNO_COMMIT_FIRST
	down/copy-by-id        down fail -DQOS=12 -DFAULTS=2 -DTRANSIENT -DGROUP=11 -DNO_COPY_ID
	down/stored-id         down fail -DQOS=22 -DFAULTS=2 -DTRANSIENT -DNO_DURABLE_ID
	down/stored-end        down fail -DQOS=22 -DFAULTS=2 -DTRANSIENT -DNO_END_FIRST
	down/renewed           down fail -DQOS=22 -DFAULTS=2 -DTRANSIENT -DNO_RENEWED
	down/renewed-until-used down fail -DQOS=22 -DFAULTS=2 -DTRANSIENT -DNO_RENEWED_KEPT
	down/renewed-orphans   down fail -DQOS=22 -DFAULTS=2 -DTRANSIENT -DNO_RENEWED_ORPHANS
	attach/retries         attach pass -DFAULTS=3 -DCONNECTS=2
	attach/moves           attach pass -DFAULTS=2 -DCONNECTS=3
	attach/zombie          attach pass -DFAULTS=3 -DCONNECTS=2 -DZOMBIE
	attach/zombie-moves    attach pass -DFAULTS=1 -DCONNECTS=3 -DZOMBIE
	attach/owner-commit    attach fail -DFAULTS=2 -DCONNECTS=2 -DZOMBIE -DNO_OWNER_COMMIT
	attach/owner-epoch     attach fail -DFAULTS=2 -DCONNECTS=2 -DZOMBIE -DNO_OWNER_EPOCH
	attach/newer           attach fail -DFAULTS=2 -DCONNECTS=2 -DNO_ATTEMPT
	attach/superseded      attach fail -DFAULTS=2 -DCONNECTS=2 -DNO_SUPERSEDED
	attach/open-link       attach fail -DFAULTS=2 -DCONNECTS=2 -DNO_LINK
	attach/clean-once      attach fail -DFAULTS=2 -DCONNECTS=2 -DNO_CLEAN_ONCE
	order/two-faults       order pass -DFAULTS=2 -DROOMY
	order/two-faults-durable order pass -DFAULTS=2 -DROOMY -DDURABLE
	order/full-queue       order pass -DFAULTS=1
	order/full-queue-durable order pass -DFAULTS=1 -DDURABLE -DGAPS=1
	order/full-queue-lanes order pass -DFAULTS=2 -DLANES=5
	order/after            order fail -DFAULTS=1 -DNO_AFTER
	order/after-anew       order fail -DFAULTS=1 -DNO_AFTER_ANEW
	order/mark             order fail -DFAULTS=1 -DNO_MARK
	order/mark-anew        order fail -DFAULTS=1 -DNO_REBASE
	order/mark-once        order fail -DFAULTS=1 -DNO_ONCE
	order/admitted         order fail -DFAULTS=1 -DNO_ADMITTED
	order/again-free       order fail -DFAULTS=1 -DNO_AGAIN_FREE
	order/again-first      order fail -DFAULTS=1 -DNO_AGAIN_FIRST
	order/again-holds      order fail -DFAULTS=2 -DNO_AGAIN_HOLDS
	order/answer-first     order fail -DFAULTS=1 -DNO_ANSWER_FIRST
	order/answer-first-durable order fail -DFAULTS=1 -DDURABLE -DNO_ANSWER_FIRST
	order/answer-first-cut order fail -DFAULTS=1 -DNO_CREDIT_WAITS
	dispatch/a-crash       dispatch pass -DFAULTS=1
	dispatch/lane          dispatch fail -DFAULTS=1 -DNO_LANE
	dispatch/lane-waits    dispatch fail -DFAULTS=1 -DNO_LANE_WAITS
	dispatch/one-grant     dispatch fail -DFAULTS=1 -DNO_ONE_GRANT
	dispatch/attempt-first dispatch fail -DFAULTS=1 -DNO_TRY
	dispatch/commit-first  dispatch fail -DFAULTS=1 -DNO_COMMIT_FIRST
	dispatch/lost-lease    dispatch fail -DFAULTS=1 -DNO_LOST
	dispatch/due           dispatch fail -DFAULTS=1 -DNO_DUE
	dispatch/kept          dispatch pass -DFAULTS=1 -DKEPT
	dispatch/adopt         dispatch fail -DFAULTS=1 -DKEPT -DNO_ADOPT
	dispatch/lease-first   dispatch fail -DFAULTS=1 -DKEPT -DNO_LEASE_FIRST
	log/two-faults         log pass -DFAULTS=2
	log/two-fail-overs     log pass -DFAULTS=1 -DFAILOVERS=2 -DNONCES=4
	log/nonce              log fail -DFAULTS=1 -DNO_NONCE
	log/last               log fail -DFAULTS=1 -DNO_LAST
	log/barrier            log fail -DFAULTS=1 -DNO_BARRIER
	log/sure               log fail -DFAULTS=1 -DNO_SURE
	log/expect             log fail -DFAULTS=1 -DNO_EXPECT
	log/tell-early         log fail -DFAULTS=1 -DTELL_EARLY
	END
}

# Prints what spin found: "pass", "fail", or why it found neither.  States are kept as they are:
# to compress them takes as long again as the search.
verdict()
{
	local model=$1 dir=$2 optimise=$3
	shift 3

	cd "$dir"
	if ! spin -a "$@" "$here/$model.pml" >spin.out 2>&1; then
		tail -3 spin.out
		return
	fi
	if ! gcc "$optimise" -w -DSAFETY -DNOREDUCE -DVECTORSZ=2048 \
		-DMEMLIM=$memory_mb -o pan pan.c >cc.out 2>&1; then
		tail -3 cc.out
		return
	fi
	timeout $seconds ./pan -m100000 -n >pan.out 2>&1 || true
	if grep -q 'max search depth too small\|invalid array index' pan.out; then
		grep -m1 'max search depth too small\|invalid array index' pan.out
	elif grep -q 'pan:1: assertion violated\|pan:1: invalid end state' pan.out; then
		echo fail
	elif grep -q 'errors: 0' pan.out && ! grep -q 'Search not completed' pan.out; then
		echo pass
	else
		echo "not finished within $seconds s and $memory_mb MB"
	fi
}

check()
{
	local name=$1 model=$2 expected=$3 dir got optimise=-O1
	shift 3
	[ "$expected" = pass ] || optimise=-O0 # a counterexample is found sooner than compiled

	dir=$(mktemp -d "$tmp/check.XXXXXX")
	got=$(verdict "$model" "$dir" "$optimise" "$@")
	rm -rf "$dir"
	if [ "$got" = "$expected" ]; then
		echo "ok - $name"
	else
		echo "not ok - $name: expected $expected, got: $got ($model.pml $*)"
	fi
}

list=''
if [ "${1:-}" = --list ]; then
	list=1
	shift
fi
if [ "${1:-}" = --jobs ]; then
	jobs=$2
	shift 2
fi
pattern=${1:-}
selected=$(checks | awk -v p="$pattern" 'index($1, p)')
if [ -n "$list" ]; then
	awk '{ print $1 }' <<<"$selected"
	exit 0
fi
if [ -z "$selected" ]; then
	echo "run.sh: no check matches '$pattern'" >&2
	exit 2
fi
if ! command -v spin >/dev/null; then
	echo "spin is not installed"
	exit 77
fi

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
: >"$tmp/results"
while read -r -a row; do
	while [ "$(jobs -pr | wc -l)" -ge "$jobs" ]; do
		wait -n || true
	done
	{ check "${row[@]}" | tee -a "$tmp/results"; } &
done <<<"$selected"
wait
passed=$(grep -c '^ok' "$tmp/results" || true)
failed=$(grep -c '^not ok' "$tmp/results" || true)
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
