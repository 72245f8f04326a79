/* One order per connection: PUBLISH, SUBSCRIBE, PUBLISH, UNSUBSCRIBE, PUBLISH of one
 * client, all to one topic, over both lanes, through one sidecar to one broker.
 *
 * The model of docs/link.md, "Marks": a subscriptions request is admitted when the
 * mark before it was and both lanes have reached the numbers that stand before it; a
 * batch is admitted when its mark was.  Each message is a batch, each SUBSCRIBE
 * and UNSUBSCRIBE a request.  Requests overtake each other; the deliveries response
 * is one ordered channel, which carries `subscribed` frames and deliveries.
 *
 * up.pml and attach.pml have runs, epochs and kept outcomes.  Here a PUT and its
 * answer are one step, behind which nothing older arrives; the broker knows the
 * outcome of each number up to its last; a packet has one request under way at a time.
 *
 * What goes wrong: a cut link (what was on its way up may still arrive before the PUT,
 * and is not answered), a stream that is lost, a crash of the broker (state gone; with
 * -DDURABLE: as it was committed; messages get 503 until what is made again is there), a
 * session that is gone without a crash.  What is early is parked, which is as if it
 * came later, or gets 409 gap, as 503 at most GAPS times: so that who waits for ever
 * comes to rest, and the search finds it.  A QoS 1 message of a 3.1.1 client may be
 * refused by a full queue that only the SUBSCRIBE or only the UNSUBSCRIBE frees: it
 * is held, and sent again under a new number.
 *
 * Each rule can be switched off (-DNO_...); test/model/run.sh says what must
 * fail then. */
#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef GAPS
#define GAPS 2
#endif
/* -DLANES=n: bits 2, 1 and 0 are the lanes of the three messages; else all.
 * -DROOMY: no queue is full. */

/* The client's packets, in its order. */
#define PUB1 0
#define SUB 1
#define PUB2 2
#define UNSUB 3
#define PUB3 4
#define N 5
#define AGAIN 5      /* the SUBSCRIBE once more, after the broker has lost it */
#define BATCH(x) ((x) == PUB1 || (x) == PUB2 || (x) == PUB3)
#define MARK(x) ((x) == SUB -> 1 : 2)

/* A packet at the sidecar. */
#define NEW 0
#define WAITS 1
#define FLIES 2      /* posted in this attachment, without an answer */
#define HELD 3       /* refused, to be sent again */
#define DONE 4       /* answered, or dropped at QoS 0 */

/* Its request. */
#define FREE 0
#define TRAVELS 1    /* or is parked */
#define ADMITTED 2   /* waits for the commit */
#define OK 3         /* and what follows: the answer is on its way */
#define REFUSED 4
#define GAP 5
#define LATER 6      /* 503 */

/* The sidecar. */
byte got_n;          /* packets read from the client */
byte st[N], num[N], given[N]; /* 'given': marks given out before it */
byte r[N + 1];
bit live[N + 1];     /* the sidecar waits for the answer */
bit lane[N], flown[N];
byte next[2];
byte base;           /* marks answered before this attachment */
bit attached, again, credit;
bit tried[N];        /* held once: it was tried again */
#ifdef NO_AFTER_ANEW
byte after_then[4];
#endif

/* The deliveries response: 1 + mark of a `subscribed`, 8 + x of a delivery. */
#define D 5
byte down[D], down_n;

/* The broker. */
byte b_mark, b_last[2];
bit b_there, b_bound, b_recovers, b_gone;
bit b_refused[N];
bit queued[N], sent[N]; /* in the session's queue; sent in this epoch */
#ifdef NO_ANSWER_FIRST
byte b_owes;
#endif
#ifdef DURABLE
#define PENDING 5
byte pend[PENDING], pend_n; /* packets admitted, in their order */
byte c_last;
bit c_bound, c_queued[N];
#define SETTLED (pend_n == 0)
#define IN_PEND(x) (pend[0] == 1 + (x) || pend[1] == 1 + (x) || pend[2] == 1 + (x) || \
	pend[3] == 1 + (x) || pend[4] == 1 + (x))
#else
#define SETTLED true
#define IN_PEND(x) false
#endif

/* The full queue. */
byte frees;          /* 0: none; else the packet that frees it */
byte refuses;        /* which message */
bit freed;

byte faults, gaps;

/* What the properties look at. */
bit came;            /* PUB2 */
bit excused[N];      /* it had no outcome when the broker lost what stands behind it */
bit lost;            /* what was queued is gone */

hidden byte i, j, w;

inline request_free(x)
{
	r[x] = FREE; live[x] = 0
}

inline request_answer(x, c)
{
	if
	:: live[x] -> r[x] = c
	:: else -> request_free(x)
	fi
}

/* --- the sidecar --- */

/* A packet is read from the client. */
inline client_reads()
{
	w = got_n;
	st[w] = WAITS;
	if
	:: BATCH(w) ->
		given[w] = (w > UNSUB -> 2 : (w > SUB -> 1 : 0));
		num[w] = next[lane[w]];
		next[lane[w]]++
	:: else ->
#ifdef NO_AFTER_ANEW
		after_then[2 * (MARK(w) - 1)] = next[0] - 1;
		after_then[2 * (MARK(w) - 1) + 1] = next[1] - 1;
#endif
		skip
	fi;
	got_n++
}

/* "A batch is posted only when its mark's request is flying or answered." */
#define MARK_POSTED(m) ((m) == 0 || st[((m) == 1 -> SUB : UNSUB)] >= FLIES)
#define NOT_LATER(x, y) (!(st[y] == WAITS && lane[y] == lane[x] && num[y] < num[x]))
/* "Batches wait for what is made again": where there is no recovery time nothing
 * else keeps a message behind its subscription. */
#ifdef NO_AGAIN_HOLDS
#define AGAIN_LETS true
#else
#define AGAIN_LETS (!again)
#endif
#define BATCH_GOES(x) (attached && st[x] == WAITS && r[x] == FREE && AGAIN_LETS && \
	MARK_POSTED(given[x]) && NOT_LATER(x, PUB1) && NOT_LATER(x, PUB2) && NOT_LATER(x, PUB3))
/* "What is made again goes first and is answered before marked ones are posted." */
#ifdef NO_AGAIN_FIRST
#define AGAIN_ANSWERED true
#else
#define AGAIN_ANSWERED (!again)
#endif
/* "A request is posted only when every entry before it is flying or answered." */
#define PASSED(x, m) (given[x] >= (m) || st[x] >= FLIES || st[x] == NEW)
#define SUB_GOES(x) (attached && st[x] == WAITS && r[x] == FREE && AGAIN_ANSWERED && \
	(x == SUB || st[SUB] >= FLIES) && \
	PASSED(PUB1, MARK(x)) && PASSED(PUB2, MARK(x)) && PASSED(PUB3, MARK(x)))

inline post(x)
{
	r[x] = TRAVELS; live[x] = 1;
	st[x] = FLIES; flown[x] = 1
}

inline message_done(x)
{
	st[x] = DONE; num[x] = 0; given[x] = 0; flown[x] = 0
}

/* Numbers of what has no answer, from 'last' + 1 on; lane 0 drops what had flown. */
inline renumber(l)
{
	next[l] = b_last[l] + 1;
	j = 0;
	do
	:: j < 8 ->
		i = 0;
		do
		:: i < N && !(BATCH(i) && st[i] == WAITS && lane[i] == l && num[i] == j) -> i++
		:: else -> break
		od;
		if
		:: i < N && l == 0 && flown[i] -> message_done(i)
		:: i < N && !(l == 0 && flown[i]) -> num[i] = 128 + next[l]; next[l]++
		:: else
		fi;
		j++
	:: else -> break
	od;
	i = 0;
	do
	:: i < N -> num[i] = (num[i] >= 128 -> num[i] - 128 : num[i]); i++
	:: else -> break
	od
}

/* "Credit waits for marked requests that had flown": before the cut the broker may have
 * carried out what it could not answer. */
#ifdef NO_CREDIT_WAITS
#define CREDITED true
#else
#define CREDITED (!(flown[SUB] && st[SUB] != DONE))
#endif

/* The PUT and its answer. */
inline attach()
{
	attached = 1;
	i = 0;
	do
	:: i <= N -> request_free(i); i++
	:: else -> break
	od;
	i = 0;
	do
	:: i < N ->
		st[i] = (st[i] == FLIES -> WAITS : st[i]);
		sent[i] = 0;
		i++
	:: else -> break
	od;
#ifndef NO_REBASE
	base = (st[SUB] == DONE) + (st[UNSUB] == DONE);
#endif
	b_there = 1;
	b_mark = 0;
	if
	:: b_gone ->
		b_gone = 0;
		renumber(0);
#ifndef DURABLE
		renumber(1);
		again = st[SUB] == DONE && st[UNSUB] != DONE;
#endif
		skip
	:: else
	fi;
	credit = CREDITED
}

/* The link is gone; what was on its way up may still arrive until the next PUT. */
inline link_cut()
{
	attached = 0; credit = 0;
	i = 0;
	do
	:: i < D -> down[i] = 0; i++
	:: else -> break
	od;
	down_n = 0;
	i = 0;
	do
	:: i <= N ->
		live[i] = 0;
		r[i] = (r[i] >= OK -> FREE : r[i]);
		i++
	:: else -> break
	od
}

/* After a gap all that flies above 'last' goes again. */
inline batch_gap(x)
{
	i = 0;
	do
	:: i < N ->
		st[i] = (BATCH(i) && lane[i] == lane[x] && st[i] == FLIES &&
		    (i == x || num[i] > b_last[lane[x]]) -> WAITS : st[i]);
		i++
	:: else -> break
	od
}

/* A batch's answer arrives. */
inline batch_answered(x)
{
	if
	:: r[x] == OK -> message_done(x)
	:: r[x] == REFUSED -> st[x] = HELD
	:: r[x] == GAP -> batch_gap(x)
	:: r[x] == LATER -> st[x] = WAITS
	fi;
	request_free(x)
}

/* Held: sent again under a new number, in the place that it has now. */
inline try_again(x)
{
	st[x] = WAITS;
	tried[x] = 1;
	num[x] = next[1];
	next[1]++;
	given[x] = (got_n > UNSUB -> 2 : (got_n > SUB -> 1 : 0))
}

/* A frame comes. */
inline frame()
{
	w = down[0];
	i = 0;
	do
	:: i < D - 1 -> down[i] = down[i + 1]; i++
	:: else -> break
	od;
	down[D - 1] = 0;
	down_n--;
	if
	:: w >= 8 ->
		w = w - 8;
		/* no delivery of the binding before its answer */
		assert(st[SUB] == DONE);
		came = came | (w == PUB2);
#ifdef DURABLE
		c_queued[w] = 0;
#endif
		queued[w] = 0; sent[w] = 0
	:: else ->
		w = (w - 1 + base == 1 -> SUB : UNSUB);
		assert(st[w] == WAITS || st[w] == FLIES); /* each is answered once */
		st[w] = DONE;
		credit = credit | CREDITED
	fi
}

/* --- the broker --- */

inline frame_put(f)
{
	if
	:: attached -> down[down_n] = f; down_n++
	:: else
	fi
}

inline pend_add(x)
{
#ifdef DURABLE
	pend[pend_n] = 1 + x;
	pend_n++
#else
	skip
#endif
}

/* Matching is part of the admission. */
inline route(x)
{
	/* What stands before SUBSCRIBE or behind UNSUBSCRIBE never comes, and what stands
	 * between them does. */
	assert(tried[x] || excused[x] || b_bound == (x == PUB2));
	queued[x] = b_bound
}

inline admit_batch(x)
{
	b_last[lane[x]] = num[x];
	b_refused[x] = frees != 0 && refuses == x && !freed;
	if
	:: !b_refused[x] -> route(x)
	:: else
	fi;
#ifdef DURABLE
	if
	:: lane[x] == 1 -> pend_add(x); r[x] = ADMITTED
	:: else -> request_answer(x, OK)
	fi
#else
	request_answer(x, (b_refused[x] -> REFUSED : OK))
#endif
}

#ifdef NO_REBASE
#define REL(m) (m)
#else
#define REL(m) ((m) > base -> (m) - base : 0)
#endif

/* 204 says nothing: the frame is the answer. */
inline admit_sub(x)
{
	b_mark = (REL(MARK(x)));
	b_bound = x == SUB;
	freed = freed | (frees == x);
	request_free(x);
#ifdef NO_ANSWER_FIRST
	b_owes = b_owes | MARK(x)
#elif defined(DURABLE)
	pend_add(x)
#else
	frame_put((1 + b_mark))
#endif
}

#ifdef DURABLE
/* Commits come in the order of admission. */
inline commit()
{
	w = pend[0] - 1;
	i = 0;
	do
	:: i < PENDING - 1 -> pend[i] = pend[i + 1]; i++
	:: else -> break
	od;
	pend[PENDING - 1] = 0;
	pend_n--;
	if
	:: BATCH(w) ->
		c_last = num[w];
		c_queued[w] = queued[w];
		if
		:: r[w] == ADMITTED -> request_answer(w, (b_refused[w] -> REFUSED : OK))
		:: else
		fi
	:: else ->
		c_bound = w == SUB;
		w = REL(MARK(w));
		frame_put((1 + w))
	fi
}
#endif

/* The state is gone, or as it was committed. */
inline broker_loses()
{
	b_there = 0; b_mark = 0; b_gone = 1;
	b_last[0] = 0;
#ifdef NO_ANSWER_FIRST
	b_owes = 0;
#endif
#ifdef DURABLE
	b_last[1] = c_last;
	b_bound = c_bound;
	i = 0;
	do
	:: i < PENDING -> pend[i] = 0; i++
	:: else -> break
	od;
	pend_n = 0;
#else
	b_last[1] = 0;
	b_bound = 0;
	lost = 1;
	/* What is made again does not wait, so it overtakes what had no outcome yet. */
	excused[PUB1] = excused[PUB1] | (st[PUB1] != DONE && st[SUB] == DONE);
	excused[PUB2] = excused[PUB2] | (st[PUB2] != DONE && st[UNSUB] == DONE);
#endif
	i = 0;
	do
	:: i < N ->
#ifdef DURABLE
		queued[i] = c_queued[i];
#else
		queued[i] = 0; b_refused[i] = 0;
#endif
		sent[i] = 0;
		i++
	:: else -> break
	od;
	link_cut();
	i = 0;
	do
	:: i <= N -> r[i] = FREE; i++
	:: else -> break
	od
}

/* --- all steps --- */

/* "A subscription is admitted when both lanes have reached the numbers before it":
 * the highest of each lane that had no answer when it was posted.  A refused number
 * and one that waits for its commit let pass: admitted, not accepted. */
#define LET_PASS(x, m) (given[x] >= (m) || st[x] == NEW || st[x] == DONE || st[x] == HELD || \
	num[x] <= b_last[lane[x]])
#define BEFORE(m) (LET_PASS(PUB1, m) && LET_PASS(PUB2, m) && LET_PASS(PUB3, m))
#ifdef NO_AFTER
#define REACHED(x) true
#elif defined(NO_AFTER_ANEW)
#define REACHED(x) (after_then[2 * (MARK(x) - 1)] <= b_last[0] && \
	after_then[2 * (MARK(x) - 1) + 1] <= b_last[1])
#else
#define REACHED(x) BEFORE(MARK(x))
#endif
#ifdef NO_ADMITTED
#define ACCEPTED(x) (!b_refused[PUB1] && !(x == UNSUB && b_refused[PUB2]))
#else
#define ACCEPTED(x) true
#endif
#ifdef NO_AGAIN_FREE
#define AGAIN_READY BEFORE(1)
#else
#define AGAIN_READY true
#endif
/* "A batch is admitted when its mark was." */
#ifdef NO_MARK
#define MARKED(x) true
#else
#define MARKED(x) ((REL(given[x])) <= b_mark)
#endif
/* "A mark that was admitted is answered 204, and nothing else." */
#ifdef NO_ONCE
#define ONCE(x) false
#define NEXT(x) ((REL(MARK(x))) <= b_mark + 1)
#else
#define ONCE(x) ((REL(MARK(x))) <= b_mark)
#define NEXT(x) ((REL(MARK(x))) == b_mark + 1)
#endif
#define KNOWN(x) (num[x] <= b_last[lane[x]])
#define BATCH_READY(x) (num[x] == b_last[lane[x]] + 1 && MARKED(x))
#define SUB_READY(x) (NEXT(x) && REACHED(x) && ACCEPTED(x))
#define HERE(x) (r[x] == TRAVELS && b_there)

/* "The frame is written before the first delivery that the new binding matched": of
 * a durable session after the commit. */
#ifdef NO_ANSWER_FIRST
#define ANSWERED_FIRST true
#else
#define ANSWERED_FIRST (!IN_PEND(SUB))
#endif
#ifdef DURABLE
#define COMMITTED(x) (lane[x] == 0 || c_queued[x])
#else
#define COMMITTED(x) true
#endif

/* The stream of the request is lost: it may still arrive. */
#define STREAM(x) \
	:: d_step { live[x] && faults < FAULTS -> faults++; \
		live[x] = 0; \
		r[x] = (r[x] >= OK -> FREE : r[x]); \
		st[x] = (st[x] == FLIES -> WAITS : st[x]) }

#define MESSAGE(x) \
	:: d_step { BATCH_GOES(x) -> post(x); skip } \
	:: d_step { HERE(x) && b_recovers && gaps < GAPS -> \
		gaps++; request_answer(x, LATER); skip } \
	:: d_step { HERE(x) && !b_recovers && KNOWN(x) && !IN_PEND(x) -> \
		request_answer(x, (b_refused[x] -> REFUSED : OK)); skip } \
	:: d_step { HERE(x) && !b_recovers && KNOWN(x) && IN_PEND(x) -> r[x] = ADMITTED } \
	:: d_step { HERE(x) && !b_recovers && BATCH_READY(x) -> admit_batch(x); skip } \
	:: d_step { HERE(x) && !b_recovers && !KNOWN(x) && !BATCH_READY(x) && gaps < GAPS -> \
		gaps++; request_answer(x, GAP); skip } \
	:: d_step { r[x] >= OK -> batch_answered(x); skip } \
	:: d_step { r[x] == TRAVELS && !live[x] -> request_free(x); skip } \
	:: d_step { attached && st[x] == HELD && (freed || !tried[x]) -> try_again(x); skip } \
	:: d_step { attached && credit && queued[x] && !sent[x] && COMMITTED(x) && \
	    ANSWERED_FIRST && down_n < D -> \
		sent[x] = 1; \
		queued[x] = lane[x]; \
		frame_put(8 + x); skip } \
	STREAM(x)

#define REQUEST(x) \
	:: d_step { SUB_GOES(x) -> post(x); skip } \
	:: d_step { HERE(x) && ONCE(x) -> request_free(x); skip } \
	:: d_step { HERE(x) && !ONCE(x) && SUB_READY(x) && down_n < D -> admit_sub(x); skip } \
	:: d_step { HERE(x) && !ONCE(x) && !SUB_READY(x) && gaps < GAPS -> \
		gaps++; request_answer(x, GAP); skip } \
	:: d_step { r[x] >= OK -> \
		st[x] = (st[x] == FLIES -> WAITS : st[x]); request_free(x); skip } \
	:: d_step { r[x] == TRAVELS && !live[x] -> request_free(x); skip } \
	STREAM(x)

#ifdef DURABLE
#define COMMITS \
	:: d_step { pend_n > 0 && down_n < D -> commit(); skip }
#define LOSES_AGAIN
#else
#define COMMITS
/* "What is made again waits for nothing."  After a session that is gone without a
 * crash there is no recovery time. */
#define LOSES_AGAIN \
	:: d_step { again && attached && r[AGAIN] == FREE -> r[AGAIN] = TRAVELS; live[AGAIN] = 1 } \
	:: d_step { HERE(AGAIN) && AGAIN_READY -> \
		b_bound = 1; freed = freed | (frees == SUB); request_answer(AGAIN, OK); skip } \
	:: d_step { r[AGAIN] == OK -> again = 0; request_free(AGAIN); skip } \
	:: d_step { faults < FAULTS && !attached && b_there -> faults++; broker_loses(); skip }
#endif

#ifdef NO_ANSWER_FIRST
#define OWES \
	:: d_step { (b_owes & 1) && down_n < D -> b_owes = b_owes & 2; \
		w = REL(1); frame_put((1 + w)); skip } \
	:: d_step { b_owes == 2 && down_n < D -> b_owes = 0; \
		w = REL(2); frame_put((1 + w)); skip }
#else
#define OWES
#endif

#define FINISHED (got_n == N && st[PUB1] == DONE && st[SUB] == DONE && st[PUB2] == DONE && \
	st[UNSUB] == DONE && st[PUB3] == DONE && down_n == 0 && \
	!queued[PUB1] && !queued[PUB2] && !queued[PUB3])

#ifdef LANES
#define LANE(x, n) lane[x] = (LANES >> n) & 1
#else
#define LANE(x, n) \
	if \
	:: lane[x] = 0 \
	:: lane[x] = 1 \
	fi
#endif

init {
	next[0] = 1; next[1] = 1;
	/* QoS 0, or above: which lane. */
	LANE(PUB1, 2);
	LANE(PUB2, 1);
	LANE(PUB3, 0);
	if
	:: frees = 0
#ifndef ROOMY
	:: lane[PUB1] == 1 -> frees = SUB; refuses = PUB1
	:: lane[PUB1] == 1 -> frees = UNSUB; refuses = PUB1
	:: lane[PUB2] == 1 -> frees = UNSUB; refuses = PUB2
#endif
	fi;
	do
	:: d_step { got_n < N -> client_reads(); skip }
	:: d_step { !attached && SETTLED -> attach(); skip }
	MESSAGE(PUB1)
	MESSAGE(PUB2)
	MESSAGE(PUB3)
	REQUEST(SUB)
	REQUEST(UNSUB)
	COMMITS
	OWES
	LOSES_AGAIN
	:: d_step { attached && down_n > 0 -> frame(); skip }
	/* Recovery time: long enough for subscribers to come back. */
	:: d_step { b_recovers && attached && !again -> b_recovers = 0 }
	:: d_step { attached && faults < FAULTS -> faults++; link_cut(); skip }
	:: d_step { b_there && faults < FAULTS -> faults++; broker_loses(); b_recovers = 1; skip }
	:: FINISHED -> break
	od;
	assert(came || tried[PUB2] || excused[PUB2] || lost || (lane[PUB2] == 0 && faults > 0))
}
