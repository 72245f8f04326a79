/* The rule of brokers that share one log (store/shared/rule.h): two brokers, a few records, a log of two
 * copies.  A write happens at the first copy, and is answered once the second has it; a reader sees it
 * then, but after a restart of the first copy in place, before.  A fail-over goes on with the second:
 * what it has not got is gone.  Requests are lost, doubled, and late, past later claims, too; answers are
 * lost; brokers crash.  Silence and leases are no part of it: a follower may claim at any time.
 *
 * What was applied by any broker stays in the log with its bytes, nothing is in the log twice, and no
 * owner finds another's record where its own would be.
 *
 * Each rule can be switched off (-DNO_..., -DTELL_EARLY); test/model/run.sh says what must fail then. */
#ifndef FAULTS
#define FAULTS 2     /* answers that do not come in time, requests that are doubled, crashes */
#endif
#ifndef FAILOVERS
#define FAILOVERS 1
#endif
#ifndef RESTARTS
#define RESTARTS 1
#endif
#ifndef NONCES
#define NONCES 4
#endif
#define LSNS 3
#define ENTRIES 4

/* The first copy, and how far the second is. */
byte p_nonce, p_last, rec[LSNS];
byte c_nonce, c_last;
bit early;           /* readers see the first copy */
#define SEEN_NONCE (early -> p_nonce : c_nonce)
#define SEEN_LAST (early -> p_last : c_last)

/* What brokers have applied; 0: nothing. */
byte fin[LSNS];

/* A broker. */
#define FOLLOWS 0
#define CLAIMS 1
#define OWNS 2
#define RECLAIMS 3
byte role[2], applied[2], nonce[2];
byte expected[2], new[2]; /* of its claim */
byte entry[2];       /* what it appends; 0: nothing yet */
bit flight[2];       /* and its record may be in the log */

/* Its call. */
#define NONE 0       /* a follower's; an owner's that has no more to append */
#define SENT 1
#define WAITS 2      /* it happened, and waits for the second copy */
#define ANSWERED 3
#define DEAD 4
byte call[2];
bit done[2];
byte target[2];      /* the log's last at its claim */

/* A request that may yet happen, and nobody waits for. */
#define APPEND 1
#define CLAIM 2
#define OWN_CLAIM 3
byte l_kind, l_a, l_b, l_entry;

byte nonces, entries, faults, failovers, restarts;

hidden byte i, good;

inline apply(lsn, e)
{
	assert(fin[lsn - 1] == 0 || fin[lsn - 1] == e);
	fin[lsn - 1] = e
}

/* --- the log --- */

inline append(n, lsn, e)
{
	good = 1;
#ifndef NO_NONCE
	if :: n != p_nonce -> good = 0 :: else fi;
#endif
#ifndef NO_LAST
	if :: lsn != p_last + 1 -> good = 0 :: else fi;
#endif
	if
	:: good && p_last < LSNS ->
		assert(lsn == p_last + 1);
		i = 0;
		do
		:: i < p_last -> assert(rec[i] != e); i++
		:: else -> break
		od;
		rec[p_last] = e; p_last++
	:: else -> good = 0
	fi
}

#ifdef NO_EXPECT
#define EXPECTED(kind, old) (p_nonce == old || kind == OWN_CLAIM)
#else
#define EXPECTED(kind, old) (p_nonce == old)
#endif

inline claim(kind, old, to)
{
	if
	:: EXPECTED(kind, old) || p_nonce == to -> p_nonce = to; good = 1
	:: else -> good = 0
	fi
}

/* --- brokers --- */

#define KIND(b) (role[b] == OWNS -> APPEND : (role[b] == CLAIMS -> CLAIM : OWN_CLAIM))

/* The request of b, or another of it, may happen later. */
inline keep(b)
{
	l_kind = KIND(b);
	l_a = (role[b] == OWNS -> nonce[b] : expected[b]);
	l_b = (role[b] == OWNS -> applied[b] + 1 : new[b]);
	l_entry = (role[b] == OWNS -> entry[b] : 0)
}

/* R2: it dials, and claims; without a nonce that is left it stays away for ever. */
inline unknown(b)
{
	done[b] = 0; target[b] = 0;
	if
	:: role[b] == OWNS && nonces > NONCES -> call[b] = DEAD
	:: role[b] == OWNS && nonces <= NONCES ->
		role[b] = RECLAIMS; call[b] = SENT;
		expected[b] = nonce[b]; new[b] = nonces; nonces++
	:: else -> call[b] = SENT
	fi
}

/* R1: the owner's next record. */
inline next(b)
{
	call[b] = NONE; done[b] = 0; target[b] = 0;
	if
	:: applied[b] < LSNS && (entry[b] != 0 || entries <= ENTRIES) ->
		if :: entry[b] == 0 -> entry[b] = entries; entries++ :: else fi;
		flight[b] = 1; call[b] = SENT
	:: else
	fi
}

inline follow(b)
{
	role[b] = FOLLOWS; call[b] = NONE; done[b] = 0; target[b] = 0;
	entry[b] = 0; flight[b] = 0; nonce[b] = 0; expected[b] = 0; new[b] = 0
}

inline told(b)
{
	entry[b] = 0; flight[b] = 0
}

/* The claim was answered: all up to its last is durable. */
inline owns(b)
{
	do
	:: applied[b] < target[b] ->
		if
		:: role[b] == RECLAIMS ->
			assert(flight[b] && rec[applied[b]] == entry[b]);
			told(b)
		:: else
		fi;
		apply(applied[b] + 1, rec[applied[b]]);
		applied[b]++
	:: else -> break
	od;
	role[b] = OWNS; nonce[b] = new[b]; expected[b] = 0; new[b] = 0;
	flight[b] = 0;
	next(b)
}

#define SURE (SEEN_LAST > 0 -> SEEN_LAST - 1 : 0) /* the last record says it of the one before */
#ifdef NO_SURE
#define READABLE SEEN_LAST
#else
#define READABLE SURE
#endif

inline reads(b)
{
	do
	:: applied[b] < READABLE -> apply(applied[b] + 1, rec[applied[b]]); applied[b]++
	:: else -> break
	od
}

#define BROKER(b) \
	/* R4 */ \
	:: d_step { role[b] == FOLLOWS && applied[b] < READABLE -> reads(b); skip } \
	/* R5; the first that claims is broker 0, as they are alike */ \
	:: d_step { role[b] == FOLLOWS && nonces <= NONCES && (b == 0 || nonces > 1) -> \
		role[b] = CLAIMS; expected[b] = SEEN_NONCE; new[b] = nonces; nonces++; \
		call[b] = SENT } \
	/* the log */ \
	:: d_step { call[b] == SENT && role[b] == OWNS -> \
		append(nonce[b], applied[b] + 1, entry[b]); \
		done[b] = good; call[b] = (good -> WAITS : ANSWERED) } \
	:: d_step { call[b] == SENT && role[b] != OWNS -> \
		claim(KIND(b), expected[b], new[b]); \
		done[b] = good; call[b] = (good -> WAITS : ANSWERED); target[b] = (good -> p_last : 0) } \
	/* answers */ \
	:: d_step { MAY_ANSWER(b) && done[b] && role[b] == OWNS -> \
		apply(applied[b] + 1, entry[b]); applied[b]++; \
		told(b); next(b) } \
	:: d_step { MAY_ANSWER(b) && !done[b] && role[b] == OWNS -> unknown(b) } \
	:: d_step { MAY_ANSWER(b) && done[b] && role[b] != OWNS -> owns(b) } \
	:: d_step { MAY_ANSWER(b) && !done[b] && role[b] != OWNS -> follow(b) } /* R3 */ \
	/* faults */ \
	:: d_step { faults < FAULTS && call[b] >= SENT && call[b] <= ANSWERED -> faults++; unknown(b) } \
	:: d_step { faults < FAULTS && call[b] == SENT && l_kind == 0 -> faults++; keep(b); unknown(b) } \
	:: d_step { faults < FAULTS && call[b] == SENT && l_kind == 0 -> faults++; keep(b) } \
	:: d_step { faults < FAULTS && role[b] != FOLLOWS -> faults++; follow(b) } \
	PLAIN_READ(b)

#ifdef TELL_EARLY
#define MAY_ANSWER(b) (call[b] == ANSWERED || call[b] == WAITS)
#else
#define MAY_ANSWER(b) (call[b] == ANSWERED)
#endif
#ifdef NO_BARRIER
#define PLAIN_READ(b) \
	:: d_step { role[b] == RECLAIMS && call[b] == SENT && flight[b] && SEEN_NONCE == nonce[b] && \
		SEEN_LAST > applied[b] && rec[applied[b]] == entry[b] -> \
		apply(applied[b] + 1, entry[b]); applied[b]++; \
		told(b); role[b] = OWNS; expected[b] = 0; new[b] = 0; next(b) }
#else
#define PLAIN_READ(b)
#endif

inline forget()
{
	l_kind = 0; l_a = 0; l_b = 0; l_entry = 0
}

inline copy()
{
	c_nonce = p_nonce; c_last = p_last;
	if :: call[0] == WAITS -> call[0] = ANSWERED :: else fi;
	if :: call[1] == WAITS -> call[1] = ANSWERED :: else fi
}

/* A request that is lost with its connection may happen later by keep() before, or never. */
inline lose_connections()
{
	if :: call[0] != NONE && call[0] != DEAD -> unknown(0) :: else fi;
	if :: call[1] != NONE && call[1] != DEAD -> unknown(1) :: else fi
}

/* The second copy takes over: nothing that was applied is gone. */
inline fail_over()
{
	i = 0;
	do
	:: i < LSNS ->
		assert(fin[i] == 0 || (i < c_last && rec[i] == fin[i]));
		if :: i >= c_last -> rec[i] = 0 :: else fi;
		i++
	:: else -> break
	od;
	p_nonce = c_nonce; p_last = c_last; early = 0;
	lose_connections()
}

active proctype world()
{
	nonces = 1; entries = 1;
end:
	do
	BROKER(0)
	BROKER(1)
	:: d_step { l_kind == APPEND -> append(l_a, l_b, l_entry); forget() }
	:: d_step { l_kind > APPEND -> claim(l_kind, l_a, l_b); forget() }
	:: d_step { c_last != p_last || c_nonce != p_nonce || call[0] == WAITS || call[1] == WAITS ->
		copy() }
	:: d_step { failovers < FAILOVERS -> failovers++; fail_over() }
	:: d_step { restarts < RESTARTS -> restarts++; early = 1; lose_connections() }
	od
}
