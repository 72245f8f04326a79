/* Messages up: one MQTT client, two sidecars that it may use, one broker.
 *
 * The model of docs/link.md, lane 1: numbers, runs, outcomes, held QoS 2 ids,
 * releases, the fence, parked batches, failed commits.  It is one process that
 * takes any step that is possible; what goes wrong is counted in FAULTS, so the
 * search ends.  A lane's batch has one or two entries.  Requests overtake each
 * other (HTTP/2 interleaves), and those of a cut link may still arrive: that is
 * what epochs are for.  PUTs are atomic here; attach.pml has their order.
 *
 * Each rule can be switched off (-DNO_...); test/model/run.sh says what must
 * fail then.  -DDURABLE: committed state survives a broker's crash, except the
 * run and the kept outcomes, which need not.  The embedded engine's commits never
 * fail, they take as long as it takes: that is a commit not made yet.
 *
 * -DZOMBIE (with -DDURABLE): another broker may go on with what is committed, while the one of before
 * serves and can commit no more.
 *
 * -DTRANSIENT: the same with a transient session, of which only commits that store
 * a message, or release a stored id, survive.  A message either goes to a durable
 * queue or to none, then it is forgotten by a crash; so may be its number.  Each
 * connection starts clean. */
#ifdef TRANSIENT
#define DURABLE
#define CLEAN
#define STARTS_CLEAN 1
#else
#define STARTS_CLEAN 0
#endif
#ifndef M
#define M 2          /* messages, in the client's order, of one topic */
#endif
#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef K
#define K 3          /* requests under way */
#endif
#ifndef P
#define P 1          /* parked batches */
#endif
#ifndef SIDECARS
#define SIDECARS 1   /* 2: the client may move from one to the other and back */
#endif
#define L 4          /* entries of a lane */
#ifndef ATTACHES
#define ATTACHES (3 + 2 * FAULTS) /* with COUNT: more than these is a livelock */
#endif

/* A lane's entry: 1 + m is PUBLISH of message m, 1 + M + m its PUBREL.  CURRENT:
 * it came on the MQTT connection that the client has now. */
#define CURRENT 8
#define WHAT(e) ((e) & 7)

/* Outcomes. */
#define NONE 0
#define ACCEPTED 1
#define REFUSED 2

/* Requests. */
#define FREE 0
#define TRAVELS 1
#define ADMITTED 2   /* or known: waits for the commit */
#define PARKED 3
#define ANSWERED 4

#define OK 0
#define GAP 1
#define EPOCH 2
#define RUN 3
#define SUPERSEDED 4
#define FAILED 5

/* A message at the client. */
#define NEW 0
#define SENT 1
#define RECEIVED 2   /* PUBREC came */
#define DONE 3
#define ABANDONED 4  /* by clean start */
#define REJECTED 5

typedef request {
	byte st, from, epoch, rid, first, n, e0, e1, upto, code, o0, o1, last;
	bit live     /* its sidecar still waits for the answer */
};
request r[K];
#define END(x) (r[x].first + r[x].n - 1)

/* The client; 'at' is its sidecar + 1, 0 while it has no connection. */
byte at, qos[M], id[M], state[M];
bit tx[M];           /* said on this connection */
bit unclean;         /* its clean start has no answer yet: the next one is clean too */

/* The session's object in each sidecar. */
bit obj[2], clean[2], started[2], run_lost[2];
byte att[2];         /* 0: PUT is due, 1: PUT is under way, 2: attached */
byte epoch[2], inc[2], rid[2];
byte next[2];        /* the next entry's number */
byte cnt[2], flown[2]; /* entries; those before 'flown' are answered or on their way */
byte ent[2 * L], out[2 * L], num[2 * L];
/* Batches stay as they were first sent: 1: alone, 2, 3: first and second of two. */
byte cut[2 * L];
/* The answer to the PUT. */
bit ans[2];
byte ans_epoch[2], ans_inc[2], ans_last[2];

/* The session at the broker. */
#define B_NONE 0
#define B_FENCING 1
#define B_ATTACHED 2
#define B_GRACE 3
byte b_st, b_inc, b_epoch, b_run, b_last, b_done, b_kept, b_holder;
byte pend[6];        /* entries b_done + 1 .. b_last */
byte kept[8];        /* outcomes b_kept + 1 .. b_done */
bit held[2], cleaned[2], fresh;
bit b_waits;         /* somebody waits for the PUT's answer */
#ifdef TRANSIENT
bit stores[M];       /* the message goes to a durable queue */
bit st_session, st_held[2], st_cleaned; /* what is stored */
byte st_last;
byte top[2];         /* the highest number of the lane's run that was answered */
#define STORES(m) stores[m]
#else
#define STORES(m) true
#endif

#ifdef ZOMBIE
bit z, z_at[2];      /* an owner that has lost the state; the sidecar's link is there */
bit z_same[2];       /* the connection is the one that it knows as the session's holder */
bit moved[2];        /* the sidecar has been at the owner after it */
byte z_inc, z_last;
#define AT_ZOMBIE(x) (z_at[r[x].from] && r[x].live)
#define ZOMBIE_LEFT(s) z_at[s] = 0;
#define ZOMBIE_OTHER(s) z_same[s] = 0;
#define MOVES(s) moved[s] = z;
#else
#define AT_ZOMBIE(x) false
#define ZOMBIE_LEFT(s)
#define ZOMBIE_OTHER(s)
#define MOVES(s)
#endif

byte faults;
#ifdef COUNT
byte puts;
#endif
bit lost_all;        /* a broker without a disk has crashed */

/* What the properties look at. */
bit ever[M], here[M], refused[M];

hidden byte i, j, k, w, o;

/* Runs, epochs and incarnations are new where nobody uses them any more: the
 * search then meets the same states by more ways. */
#define RUN_USED(v) (rid[0] == v || rid[1] == v || b_run == v || r[0].rid == v || \
	r[1].rid == v || r[K - 1].rid == v)
#define EPOCH_USED(v) (epoch[0] == v || epoch[1] == v || b_epoch == v || ans_epoch[0] == v || \
	ans_epoch[1] == v || r[0].epoch == v || r[1].epoch == v || r[K - 1].epoch == v)
#define INC_USED(v) (inc[0] == v || inc[1] == v || b_inc == v || ans_inc[0] == v || \
	ans_inc[1] == v)

/* A crash may have taken a number that was answered: those after it would wait for
 * it for ever. */
#if defined(TRANSIENT) && !defined(NO_TOP)
#define FORGOT(s) (top[s] > ans_last[s])
#else
#define FORGOT(s) false
#endif

/* "Run: drawn at random whenever the sidecar has no memory of the numbers." */
inline lane_new_run(s)
{
#ifdef NO_NEW_RUN
	rid[s] = 1
#else
	rid[s] = 0;
#ifdef TRANSIENT
	top[s] = 0;
#endif
	j = 1;
	do
	:: RUN_USED(j) -> j++
	:: else -> break
	od;
	rid[s] = j
#endif
}

/* --- the client takes an answer --- */

inline unanswered_before(m)
{
	i = 0;
	do
	:: i < m ->
		/* Answers come in the order of the packets (MQTT 5.0 §4.6). */
		assert(!(state[i] == SENT && tx[i] && qos[i] == qos[m]));
		i++
	:: else -> break
	od
}

inline client_answer()
{
	/* The client knows the packet id only. */
	j = 0;
	do
	:: j < M && !(id[j] == id[(w - 1) % M] && tx[j] &&
	    (w > M -> state[j] == RECEIVED :
	    (state[j] == SENT && qos[j] == qos[w - 1]))) -> j++
	:: else -> break
	od;
	assert(j < M);                 /* no id is answered twice */
	if
	:: w > M -> state[j] = DONE
	:: w <= M && o == ACCEPTED ->
		unanswered_before(j);
		assert(ever[j]);       /* no acknowledged loss */
		state[j] = (qos[j] == 2 -> RECEIVED : DONE)
	:: else -> state[j] = REJECTED
	fi;
	tx[j] = 0
}

inline lane_shift(s)
{
	i = 0;
	do
	:: i < L - 1 ->
		ent[s * L + i] = ent[s * L + i + 1];
		out[s * L + i] = out[s * L + i + 1];
		num[s * L + i] = num[s * L + i + 1];
		cut[s * L + i] = cut[s * L + i + 1];
		i++
	:: else -> break
	od;
	ent[s * L + L - 1] = 0;
	out[s * L + L - 1] = 0;
	num[s * L + L - 1] = 0;
	cut[s * L + L - 1] = 0;
	cnt[s]--;
	flown[s] = (flown[s] > 0 -> flown[s] - 1 : 0)
}

/* "An answer goes only to the MQTT connection that its packet came on, once, in
 * packet order." */
#ifdef NO_CONNECTION
#define THIS_CONNECTION(e) true
#else
#define THIS_CONNECTION(e) ((e) & CURRENT)
#endif
inline lane_answer(s, e)
{
	if
	:: at == s + 1 && THIS_CONNECTION(e) && WHAT(e) != 0 -> w = WHAT(e); client_answer()
	:: else
	fi
}

inline lane_hand_out(s)
{
#ifdef NO_ORDER
	k = 0;
	do
	:: k < cnt[s] ->
		if
		:: out[s * L + k] != NONE && ent[s * L + k] != 0 ->
			o = out[s * L + k];
			lane_answer(s, ent[s * L + k]);
			ent[s * L + k] = 0
		:: else
		fi;
		k++
	:: else -> break
	od;
#endif
	do
	:: cnt[s] > 0 && out[s * L] != NONE ->
		k = ent[s * L];
		o = out[s * L];
		lane_shift(s);
		lane_answer(s, k)
	:: else -> break
	od;
	lane_skip(s)
}

/* What is answered is not sent again. */
inline lane_skip(s)
{
	do
	:: flown[s] < cnt[s] && out[s * L + flown[s]] != NONE -> flown[s]++
	:: else -> break
	od
}

inline lane_clear(s)
{
	i = 0;
	do
	:: i < L -> ent[s * L + i] = 0; out[s * L + i] = 0; num[s * L + i] = 0;
		cut[s * L + i] = 0; i++
	:: else -> break
	od;
	cnt[s] = 0; next[s] = 1; flown[s] = 0
}

inline object_end(s)
{
	ZOMBIE_LEFT(s)
	ZOMBIE_OTHER(s)
	lane_clear(s);
	obj[s] = 0; clean[s] = 0; started[s] = 0; run_lost[s] = 0; att[s] = 0;
	epoch[s] = 0; inc[s] = 0; rid[s] = 0; next[s] = 0;
#ifdef TRANSIENT
	top[s] = 0;
#endif
	ans[s] = 0; ans_epoch[s] = 0; ans_inc[s] = 0; ans_last[s] = 0
}

inline request_free(x)
{
	r[x].st = FREE; r[x].from = 0; r[x].epoch = 0; r[x].rid = 0; r[x].first = 0; r[x].n = 0;
	r[x].e0 = 0; r[x].e1 = 0; r[x].upto = 0; r[x].code = 0; r[x].o0 = 0; r[x].o1 = 0;
	r[x].last = 0; r[x].live = 0
}

inline request_answer(x, c)
{
	if
	:: r[x].live ->
		r[x].st = ANSWERED; r[x].code = c; r[x].e0 = 0; r[x].e1 = 0; r[x].upto = 0
	:: else -> request_free(x)
	fi
}

inline put_gone(s)
{
	ans[s] = 0; ans_epoch[s] = 0; ans_inc[s] = 0; ans_last[s] = 0;
	b_waits = (b_holder == s -> 0 : b_waits)
}

/* The link of sidecar s is gone; what was on its way up may still arrive. */
inline link_cut(s)
{
	ZOMBIE_LEFT(s)
	put_gone(s);
	j = 0;
	do
	:: j < K ->
		if
		:: r[j].st != FREE && r[j].from == s ->
			r[j].live = 0;
			if
			:: r[j].st == ANSWERED -> request_free(j)
			:: else
			fi
		:: else
		fi;
		j++
	:: else -> break
	od;
	att[s] = 0; epoch[s] = 0;
	flown[s] = 0
}

/* --- the client --- */

inline client_gone()
{
	i = 0;
	do
	:: i < M -> tx[i] = 0; i++
	:: else -> break
	od;
	i = 0;
	do
	:: i < 2 * L -> ent[i] = ent[i] & 7; i++
	:: else -> break
	od;
	at = 0
}

/* A CONNECT.  It starts with an empty lane in a new run, and a lane that an older
 * connection left ends; with -DTAKEOVER it takes that lane over, which is as good
 * while there is one sidecar, or one session of the same incarnation. */
inline client_connect(s, c)
{
	ZOMBIE_OTHER(s)
	at = s + 1;
	if
	:: !obj[s] ->
		obj[s] = 1;
		next[s] = 1;
		lane_new_run(s)
	:: else ->
#ifndef NO_CONNECT_STOPS
		/* Nothing of the new connection is sent under the epoch of an older one. */
		att[s] = 0; epoch[s] = 0;
		flown[s] = 0;
		put_gone(s);
#endif
#ifdef TAKEOVER
#define LANE_ENDS c
#else
#define LANE_ENDS true
#endif
#ifndef NO_CLEAN_DROP
		/* Nobody waits for what an older connection sent, and after a clean start
		 * its packet ids mean something else. */
		if
		:: LANE_ENDS ->
			lane_clear(s);
			lane_new_run(s);
			started[s] = 0
		:: else
		fi
#endif
		skip
	fi;
	clean[s] = c;
	unclean = c;
	cleaned[s] = 0;
#ifdef TRANSIENT
	st_cleaned = 0; /* it is stored with its ordinal */
#endif
	i = 0;
	do
	:: i < M ->
		state[i] = (c && (state[i] == SENT || state[i] == RECEIVED) -> ABANDONED : state[i]);
		i++
	:: else -> break
	od
}

#define ID_FREE(m) (\
	!(m != 0 && id[0] == id[m] && (state[0] == SENT || state[0] == RECEIVED)) && \
	!(m != 1 && id[1] == id[m] && (state[1] == SENT || state[1] == RECEIVED)) && \
	!(M > 2 && m != 2 && id[M - 1] == id[m] && \
	    (state[M - 1] == SENT || state[M - 1] == RECEIVED)))
#define TO_SAY(m) ((state[m] == NEW || state[m] == SENT) && !tx[m])
#define IN_TURN(m) (!(m > 0 && TO_SAY(0)) && !(m > 1 && TO_SAY(1)))

inline lane_add(s, e)
{
	ent[s * L + cnt[s]] = e | CURRENT;
	num[s * L + cnt[s]] = next[s];
	next[s]++;
	cnt[s]++
}

#define CLIENT(m) \
	:: d_step { at != 0 && TO_SAY(m) && IN_TURN(m) && (state[m] == SENT || ID_FREE(m)) && \
	    cnt[at - 1] < L -> \
		lane_add((at - 1), 1 + m); state[m] = SENT; tx[m] = 1; skip } \
	:: d_step { at != 0 && state[m] == RECEIVED && !tx[m] && cnt[at - 1] < L -> \
		lane_add((at - 1), 1 + M + m); tx[m] = 1; skip }

/* --- the lane at the sidecar --- */

#define SLOT (r[0].st == FREE || r[1].st == FREE || r[K - 1].st == FREE)

/* i: the oldest entry without an outcome, or cnt[s]. */
inline lane_oldest(s)
{
	i = 0;
	do
	:: i < cnt[s] && out[s * L + i] != NONE -> i++
	:: else -> break
	od
}

inline lane_post(s, c)
{
	j = 0;
	do
	:: r[j].st != FREE -> j++
	:: else -> break
	od;
	r[j].st = TRAVELS; r[j].from = s; r[j].live = 1;
	r[j].epoch = epoch[s]; r[j].rid = rid[s];
	r[j].first = num[s * L + flown[s]]; r[j].n = c;
	r[j].e0 = WHAT(ent[s * L + flown[s]]);
	r[j].e1 = (c == 2 -> WHAT(ent[s * L + (flown[s] + c - 1)]) : 0);
	cut[s * L + flown[s]] = c;
	if
	:: c == 2 -> cut[s * L + (flown[s] + c - 1)] = 3
	:: else
	fi;
	lane_oldest(s);
	r[j].upto = num[s * L + i] - 1;
	flown[s] = flown[s] + c;
	started[s] = 1;
	lane_skip(s)
}

/* The PUT is answered: go on in the run, or take a new one. */
inline lane_attached(s)
{
	epoch[s] = ans_epoch[s];
	unclean = (at == s + 1 -> 0 : unclean);
	att[s] = 2;
	flown[s] = 0;
	lane_oldest(s);
	if
	:: inc[s] == ans_inc[s] && started[s] && !run_lost[s] && !FORGOT(s) && ans_last[s] < next[s] &&
	    ans_last[s] + 1 >= (i < cnt[s] -> num[s * L + i] : next[s]) -> skip
	:: else ->
		/* "When the incarnation changed, the sidecar takes a new run, numbers on
		 * from last + 1."  Outcomes that came stay with their entries. */
		lane_new_run(s);
		next[s] = ans_last[s] + 1;
		i = 0;
		do
		:: i < cnt[s] ->
			if
			:: out[s * L + i] == NONE -> num[s * L + i] = next[s]; next[s]++
			:: else
			fi;
			i++
		:: else -> break
		od;
		started[s] = 0; run_lost[s] = 0
	fi;
	inc[s] = ans_inc[s];
	ans[s] = 0; ans_epoch[s] = 0; ans_inc[s] = 0; ans_last[s] = 0;
	lane_skip(s)
}

/* After a gap a batch may be on its way twice, and its outcomes may be forgotten
 * when the second one gets there. */
#ifdef NO_STALE
#define ANSWERED_BEFORE false
#else
#define ANSWERED_BEFORE (num[k * L] != r[x].first && num[k * L + 1] != r[x].first && \
	num[k * L + 2] != r[x].first && num[k * L + 3] != r[x].first)
#endif

/* "Outcomes serve only the run that sent the numbers." */
#ifdef NO_OUTCOME_RUN
#define SERVES(x) (obj[k])
#else
#define SERVES(x) (obj[k] && r[x].rid == rid[k])
#endif

/* A request's answer arrives. */
inline lane_answered(x)
{
	k = r[x].from;
	if
	:: r[x].code == OK && SERVES(x) ->
		i = 0;
		do
		:: i < cnt[k] ->
			j = num[k * L + i];
			if
			:: j >= r[x].first && j <= END(x) && out[k * L + i] == NONE ->
				out[k * L + i] = (j == r[x].first -> r[x].o0 : r[x].o1);
#ifdef TRANSIENT
				top[k] = (j > top[k] -> j : top[k]);
#endif
				num[k * L + i] = 0
			:: else
			fi;
			i++
		:: else -> break
		od;
		w = k;
		request_free(x);
		if
		:: w == 0 -> lane_hand_out(0)
		:: else -> lane_hand_out(1)
		fi
	:: r[x].code == OK && !SERVES(x) -> request_free(x)
	:: r[x].code != OK ->
		if
		:: r[x].code == SUPERSEDED && r[x].epoch == epoch[k] && obj[k] ->
			/* Another attachment holds the session: this object has ended. */
			if
			:: at == k + 1 -> client_gone()
			:: else
			fi;
			object_end(k)
		:: r[x].code == GAP && r[x].epoch == epoch[k] && att[k] == 2 &&
		    r[x].rid == rid[k] ->
			/* All flying above 'last' go again. */
			i = 0;
			do
			:: i < flown[k] && !(num[k * L + i] > r[x].last) -> i++
			:: else -> flown[k] = i; break
			od;
			lane_skip(k)
		:: (r[x].code == EPOCH || r[x].code == FAILED || (r[x].code == RUN && !ANSWERED_BEFORE)) &&
		    r[x].epoch == epoch[k] && att[k] == 2 ->
#ifndef NO_RUN_LOST
			/* After 409 run the next attach starts a new one. */
			run_lost[k] = run_lost[k] | (r[x].code == RUN);
#endif
			att[k] = 0; epoch[k] = 0; flown[k] = 0
		:: else
		fi;
		request_free(x)
	fi
}

/* --- the broker --- */

inline broker_reset()
{
#ifdef TRANSIENT
	st_session = 0; st_held[0] = 0; st_held[1] = 0; st_cleaned = 0; st_last = 0;
#endif
	b_last = b_last - b_done; /* nothing, where the fence has waited */
	b_done = 0; b_kept = 0; b_run = 0;
	i = 0;
	do
	:: i < 8 -> kept[i] = 0; i++
	:: else -> break
	od;
	held[0] = 0; held[1] = 0;
	i = 0;
	do
	:: i < M -> here[i] = 0; i++
	:: else -> break
	od;
	b_inc = 0;
	i = 1;
	do
	:: INC_USED(i) -> i++
	:: else -> break
	od;
	b_inc = i
}

/* The PUT.  Fences first. */
inline broker_put(s)
{
	MOVES(s)
	if
	:: b_st == B_NONE ->
		broker_reset();
		fresh = 1
	:: else
	fi;
#ifdef COUNT
	puts++;
	assert(puts <= ATTACHES);      /* attaching again leads somewhere */
#endif
	b_epoch = 0;
	j = 1;
	do
	:: EPOCH_USED(j) -> j++
	:: else -> break
	od;
	b_epoch = j;
	if
	:: att[1 - s] == 1 && b_holder == 1 - s ->
		if
		:: at == 2 - s -> client_gone()
		:: else
		fi;
		object_end((1 - s))
	:: else
	fi;
	b_holder = s;
	b_st = B_FENCING;
	b_waits = 1;
	att[s] = 1;
	j = 0;
	do
	:: j < K ->
		if
		:: r[j].st == PARKED ||
		    (r[j].st == ADMITTED && r[j].first + r[j].n - 1 <= b_done) ->
			request_answer(j, (r[j].from == s -> EPOCH : SUPERSEDED))
		:: else
		fi;
		j++
	:: else -> break
	od
}

/* "Clean start applies once per connection ordinal." */
#ifdef NO_CLEAN_ONCE
#define CLEAN_ONCE true
#else
#define CLEAN_ONCE (!cleaned[b_holder])
#endif

/* "The answer waits until those admitted have committed or failed." */
#ifdef NO_FENCE_WAIT
#define FENCED true
#else
#define FENCED (b_last == b_done)
#endif

inline broker_put_answer()
{
	if
	:: clean[b_holder] && !fresh && CLEAN_ONCE -> broker_reset()
	:: else
	fi;
	cleaned[b_holder] = clean[b_holder];
	fresh = 0;
	if
	:: b_waits ->
		b_st = B_ATTACHED;
		b_waits = 0;
		ans[b_holder] = 1;
		ans_epoch[b_holder] = b_epoch;
		ans_inc[b_holder] = b_inc;
		ans_last[b_holder] = b_done
	:: else -> b_st = B_GRACE
	fi
}

inline broker_forget(number)
{
	do
	:: b_kept < number && b_kept < b_done ->
		i = 0;
		do
		:: i < 7 -> kept[i] = kept[i + 1]; i++
		:: else -> break
		od;
		kept[7] = 0;
		b_kept++
	:: else -> break
	od
}

inline broker_admit(x)
{
	if
	:: r[x].rid != b_run -> broker_forget(b_last); b_kept = b_last; b_run = r[x].rid
	:: else -> broker_forget(r[x].upto)
	fi;
	i = 0;
	do
	:: i < r[x].n ->
		if
		:: r[x].first + i > b_last ->
			pend[b_last - b_done] = (i == 0 -> r[x].e0 : r[x].e1);
			b_last++
		:: else
		fi;
		i++
	:: else -> break
	od;
	r[x].st = ADMITTED;
	r[x].e0 = 0; r[x].e1 = 0; r[x].upto = 0
}

/* "Numbers already accepted in the same run are skipped and answered with their
 * kept outcome, after their commit; the same number from another run is 409." */
#ifdef NO_RUN_CHECK
#define SAME_RUN(x) (r[x].rid == b_run || r[x].first <= b_last)
#else
#define SAME_RUN(x) (r[x].rid == b_run)
#endif
#ifdef NO_FENCE
#define THIS_EPOCH(x) (b_st != B_NONE)
#else
#define THIS_EPOCH(x) (b_st == B_ATTACHED && r[x].epoch == b_epoch)
#endif

/* "A number above last + 1 is parked, or 409." */
#ifdef NO_GAP
#define EARLY(x) (r[x].first > b_last + 1 && b_last > b_done)
#else
#define EARLY(x) (r[x].first > b_last + 1)
#endif

inline broker_offer(x)
{
#ifdef NO_GAP
	if
	:: THIS_EPOCH(x) && r[x].first > b_last + 1 ->
		broker_forget(b_last);
		b_last = r[x].first - 1;
		b_done = b_last; b_kept = b_last
	:: else
	fi;
#endif
	if
	:: !THIS_EPOCH(x) ->
		request_answer(x, (b_st != B_NONE && b_holder != r[x].from -> SUPERSEDED : EPOCH))
	:: else ->
		if
		:: !SAME_RUN(x) && r[x].first == b_last + 1 -> broker_admit(x)
		:: !SAME_RUN(x) && r[x].first <= b_last -> request_answer(x, RUN)
#ifdef NO_SKIP
		:: SAME_RUN(x) && r[x].first <= b_last ->
			/* as if it were new */
			r[x].first = b_last + 1;
			broker_admit(x)
#else
		:: SAME_RUN(x) && r[x].first <= b_last && r[x].first <= b_kept ->
			request_answer(x, RUN)
		:: SAME_RUN(x) && r[x].first <= b_last && r[x].first > b_kept && END(x) <= b_last ->
			r[x].st = ADMITTED; r[x].e0 = 0; r[x].e1 = 0; r[x].upto = 0
		:: SAME_RUN(x) && r[x].first <= b_last && r[x].first > b_kept && END(x) > b_last ->
			broker_admit(x)
#endif
		:: SAME_RUN(x) && r[x].first == b_last + 1 -> broker_admit(x)
		fi
	fi;
	broker_answers()
}

/* Answers the batches whose numbers are committed. */
inline broker_answers()
{
	j = 0;
	do
	:: j < K ->
		if
		:: r[j].st == ADMITTED && END(j) <= b_done ->
			if
			:: r[j].first <= b_kept -> request_answer(j, RUN)
			:: else ->
				r[j].o0 = kept[r[j].first - b_kept - 1];
				r[j].o1 = (r[j].n == 2 -> kept[END(j) - b_kept - 1] : 0);
#ifdef NO_KEPT
				/* whatever it was, it is called accepted */
				r[j].o0 = ACCEPTED;
				r[j].o1 = (r[j].n == 2 -> ACCEPTED : 0);
#endif
				request_answer(j, OK)
			fi
		:: else
		fi;
		j++
	:: else -> break
	od
}

inline store(m)
{
	if
	:: qos[m] == 2 ->
		/* no QoS 2 duplicate */
		assert(!here[m]);
		assert(lost_all || !ever[m] || !STORES(m));
		assert(state[m] != RECEIVED && state[m] != DONE && state[m] != REJECTED)
	:: else
	fi;
	if
	:: !ever[m] ->
		/* first copies come in the client's order */
		i = 0;
		do
		:: i < m ->
			assert(ever[i] || refused[i] || state[i] == ABANDONED);
			i++
		:: else -> break
		od
	:: else
	fi;
	ever[m] = 1; here[m] = 1
}

/* "The id is held only if the outcome is below 0x80." */
#ifdef NO_HELD_ACCEPTED
#define HOLDS(o) true
#else
#define HOLDS(o) ((o) == ACCEPTED)
#endif

/* What becomes durable of a transient session with the number that w is committed
 * by: nothing, unless a message is stored or a stored id released. */
inline session_commit()
{
#ifdef TRANSIENT
	if
	:: w <= M && STORES(w - 1) && here[w - 1] && o == ACCEPTED ->
		st_session = 1;
		st_last = b_done + 1;
#ifndef NO_STORED_HELD
		st_held[id[w - 1]] = held[id[w - 1]];
#endif
#ifndef NO_STORED_CLEAN
		st_cleaned = cleaned[b_holder];
#endif
#ifndef NO_STORED_RELEASE
	:: w > M && st_held[id[w - 1 - M]] ->
		st_held[id[w - 1 - M]] = 0;
		st_last = b_done + 1;
#endif
	:: else
	fi
#else
	skip
#endif
}

/* Commits the next number, with a refusal or not. */
inline broker_commit(refuse)
{
	w = pend[0];
	o = ACCEPTED;
	if
	:: w > M -> held[id[w - 1 - M]] = 0 /* "releasing an id not held succeeds" */
#ifndef NO_HELD
	/* "A new number with a held id consumes the number, stores nothing and
	 * answers success." */
	:: w <= M && qos[w - 1] == 2 && held[id[w - 1]] -> skip
#endif
	:: else ->
		if
		:: refuse -> o = REFUSED; refused[w - 1] = 1
		:: else -> store(w - 1)
		fi;
		if
		:: qos[w - 1] == 2 && HOLDS(o) -> held[id[w - 1]] = 1
		:: else
		fi
	fi;
	session_commit();
	i = 0;
	do
	:: i < 5 -> pend[i] = pend[i + 1]; i++
	:: else -> break
	od;
	pend[5] = 0;
	if
	:: b_done >= b_kept -> kept[b_done - b_kept] = o
	:: else
	fi;
	b_done++;
	broker_answers()
}

/* "A failed commit fails every later admitted number of the lane." */
inline broker_fail()
{
#ifdef NO_FAIL_LATER
	/* The next number's commit goes on by itself. */
	if
	:: b_last - b_done > 1 && pend[1] <= M && pend[1] != 0 &&
	    !(qos[pend[1] - 1] == 2 && held[id[pend[1] - 1]]) -> store(pend[1] - 1)
	:: else
	fi;
#endif
	j = 0;
	do
	:: j < K ->
		if
		:: r[j].st == ADMITTED && END(j) > b_done -> request_answer(j, FAILED)
		:: r[j].st == PARKED -> request_answer(j, EPOCH)
		:: else
		fi;
		j++
	:: else -> break
	od;
	b_last = b_done;
	i = 0;
	do
	:: i < 6 -> pend[i] = 0; i++
	:: else -> break
	od;
	if
	:: b_st == B_ATTACHED -> b_st = B_GRACE; b_epoch = 0
	:: else
	fi
}

inline broker_crash()
{
	b_last = b_done;
	link_cut(0);
	link_cut(1);
	j = 0;
	do
	:: j < K -> request_free(j); j++
	:: else -> break
	od;
	i = 0;
	do
	:: i < 6 -> pend[i] = 0; i++
	:: else -> break
	od;
	b_epoch = 0;
#ifdef TRANSIENT
	i = 0;
	do
	:: i < M -> here[i] = here[i] && STORES(i); i++
	:: else -> break
	od;
	broker_forget(b_done);
	if
	:: st_session ->
		b_last = st_last; b_done = st_last; b_kept = st_last; b_run = 0;
		held[0] = st_held[0]; held[1] = st_held[1];
		cleaned[0] = st_cleaned;
		b_st = (b_st == B_NONE -> B_NONE : B_GRACE)
	:: else ->
		broker_reset();
		b_inc = 0; b_st = B_NONE; fresh = 0; cleaned[0] = 0
	fi
#elif defined(DURABLE)
	broker_forget(b_done);
	b_kept = b_done;
	b_run = 0;
	b_st = (b_st == B_NONE -> B_NONE : B_GRACE)
#else
	broker_reset();
	b_inc = 0;
	b_st = B_NONE;
	fresh = 0;
	cleaned[0] = 0; cleaned[1] = 0;
	lost_all = 1
#endif
}

/* --- an owner that has lost the state, and does not know it; see down.pml --- */

#ifdef ZOMBIE
#ifdef NO_OWNER_COMMIT
#define ZOMBIE_ANSWERS(s) (z_inc != 0)
#else
#define ZOMBIE_ANSWERS(s) (z_same[s] && z_inc != 0)
#endif
#ifdef NO_OWNER_EPOCH
#define ZOMBIE_ASKED(s) true
#else
#define ZOMBIE_ASKED(s) (!moved[s])
#endif

inline zombie_made()
{
	z = 1;
	z_inc = b_inc;
	z_last = b_done;
	z_at[0] = (att[0] != 0); z_at[1] = (att[1] != 0);
	z_same[0] = att[0] != 0 && b_st == B_ATTACHED && b_holder == 0;
	z_same[1] = att[1] != 0 && b_st == B_ATTACHED && b_holder == 1;
	b_last = b_done;
	j = 0;
	do
	:: j < K ->
		if
		:: r[j].st != FREE && r[j].st != ANSWERED -> request_free(j)
		:: else
		fi;
		j++
	:: else -> break
	od;
	i = 0;
	do
	:: i < 6 -> pend[i] = 0; i++
	:: else -> break
	od;
	b_epoch = 0; b_waits = 0;
	broker_forget(b_done);
	b_kept = b_done;
	b_run = 0;
	b_st = B_GRACE
}

inline zombie_put(s)
{
	j = 1;
	do
	:: EPOCH_USED(j) -> j++
	:: else -> break
	od;
	z_at[s] = 1; att[s] = 1;
	ans[s] = 1; ans_epoch[s] = j; ans_inc[s] = z_inc; ans_last[s] = z_last
}

#define ZOMBIE_STEPS(s) \
	:: d_step { z && obj[s] && att[s] == 0 && MAY_PUT(s) && ZOMBIE_ASKED(s) && \
	    ZOMBIE_ANSWERS(s) -> zombie_put(s); skip } \
	:: d_step { z_at[s] -> link_cut(s); skip }
#endif

/* --- all steps --- */

/* A sidecar whose client is gone attaches again to finish what it has, but
 * never makes or takes a session: it may be another's by now. */
#ifdef NO_GONE
#define MAY_PUT(s) (at == s + 1 || cnt[s] > 0)
#else
#define MAY_PUT(s) (at == s + 1 || (cnt[s] > 0 && b_st != B_NONE && b_holder == s))
#endif
#define REFUSE_PUT(s) (at != s + 1 && !MAY_PUT(s))

#define TWO(s, i) (cut[i] == 2 || (cut[i] == 0 && cut[i + 1] == 0 && out[i + 1] == NONE))

#ifdef CLEAN
#define CONNECT_CLEAN(s) :: d_step { at == 0 && faults > 0 -> client_connect(s, 1); skip }
#else
#define CONNECT_CLEAN(s)
#endif

#define SIDECAR(s) \
	:: d_step { obj[s] && att[s] == 0 && MAY_PUT(s) -> broker_put(s); skip } \
	:: d_step { obj[s] && att[s] == 0 && REFUSE_PUT(s) && cnt[s] > 0 -> object_end(s); skip } \
	:: d_step { ans[s] && att[s] == 1 -> lane_attached(s); skip } \
	:: d_step { att[s] == 2 && flown[s] < cnt[s] && cut[s * L + flown[s]] <= 1 && SLOT -> \
		lane_post(s, 1); skip } \
	:: d_step { att[s] == 2 && flown[s] + 1 < cnt[s] && TWO(s, s * L + flown[s]) && SLOT -> \
		lane_post(s, 2); skip } \
	:: d_step { at == 0 && (s == 0 || faults > 0) && !unclean && \
	    (!STARTS_CLEAN || faults == 0) -> client_connect(s, STARTS_CLEAN); skip } \
	CONNECT_CLEAN(s) \
	:: d_step { faults < FAULTS && obj[s] -> faults++; link_cut(s); \
		if \
		:: at == s + 1 -> client_gone() \
		:: else \
		fi; \
		object_end(s); skip } \
	:: d_step { faults < FAULTS && obj[s] && (att[s] != 0) -> faults++; link_cut(s); skip }

#define PARKED_NOW ((r[0].st == PARKED) + (r[1].st == PARKED) + (K > 2 && r[K - 1].st == PARKED))

#define REQUEST(x) \
	:: d_step { r[x].st == TRAVELS && !AT_ZOMBIE(x) && !(THIS_EPOCH(x) && EARLY(x)) -> \
		broker_offer(x); skip } \
	:: d_step { r[x].st == PARKED && r[x].first <= b_last + 1 -> broker_offer(x); skip } \
	:: d_step { r[x].st == TRAVELS && !AT_ZOMBIE(x) && THIS_EPOCH(x) && EARLY(x) && \
	    PARKED_NOW < P -> r[x].st = PARKED; skip } \
	:: d_step { r[x].st == TRAVELS && !AT_ZOMBIE(x) && THIS_EPOCH(x) && EARLY(x) -> \
		r[x].last = b_last; request_answer(x, GAP); skip } \
	:: d_step { r[x].st == TRAVELS && !r[x].live -> request_free(x); skip } \
	:: d_step { r[x].st == ANSWERED -> lane_answered(x); skip }

#define MESSAGE(m) \
	if \
	:: qos[m] = 1; id[m] = 0 \
	:: qos[m] = 1; id[m] = 1 \
	:: qos[m] = 2; id[m] = 0 \
	:: qos[m] = 2; id[m] = 1 \
	fi
#ifdef TRANSIENT
#define MESSAGE_STORES(m) \
	if \
	:: stores[m] = 0 \
	:: stores[m] = 1 \
	fi;
#else
#define MESSAGE_STORES(m)
#endif
#define FINISHED(m) (state[m] >= DONE)

init {
	/* Which QoS each message has, and which packet id. */
#ifdef QOS
	qos[0] = QOS / 10; qos[1] = QOS % 10; id[1] = ID;
#else
	if
	:: qos[0] = 1
	:: qos[0] = 2
	fi;
	MESSAGE(1);
#if M > 2
	MESSAGE(2);
#endif
#endif
	MESSAGE_STORES(0)
	MESSAGE_STORES(1)
	do
	CLIENT(0)
	CLIENT(1)
#if M > 2
	CLIENT(2)
#endif
	SIDECAR(0)
#if SIDECARS > 1
	SIDECAR(1)
#endif
	REQUEST(0)
	REQUEST(1)
#if K > 2
	REQUEST(2)
#endif
	:: d_step { b_st == B_FENCING && FENCED -> broker_put_answer(); skip }
	:: d_step { b_last > b_done -> broker_commit(0); skip }
	:: d_step { b_last > b_done && faults < FAULTS && pend[0] <= M ->
		faults++; broker_commit(1); skip }
	:: d_step { b_last > b_done && faults < FAULTS -> faults++; broker_fail(); skip }
	:: d_step { b_st != B_NONE && faults < FAULTS -> faults++; broker_crash(); skip }
	:: d_step { at != 0 && faults < FAULTS -> faults++; client_gone(); skip }
#ifdef ZOMBIE
	:: d_step { b_st != B_NONE && !z && faults < FAULTS -> faults++; zombie_made(); skip }
	ZOMBIE_STEPS(0)
#endif
	:: FINISHED(0) && FINISHED(1) && FINISHED(M - 1) -> break
	od
}
