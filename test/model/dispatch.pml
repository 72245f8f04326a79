/* The dispatcher (proto/dispatch): three messages in two lanes, two consumers, leases that end, failures,
 * and a broker that crashes.  Settlements and attempts become durable in the order in which they were made;
 * what was not durable is gone after a crash, and leases with it, but with -DKEPT: those are durable
 * before they are told, and go on.
 *
 * Each rule can be switched off (-DNO_...); test/model/run.sh says what must fail then. */
#ifndef FAULTS
#define FAULTS 2     /* crashes, failures that are no attempts */
#endif
#define MAX 2        /* attempts of a message */
#define N 3
#define LANE(m) ((m) == 2 -> 1 : 0)

/* A message at the dispatcher. */
#define FREE 0
#define OUT 1
#define TRYING 2
#define WAITING 3
#define ENDED 4
byte st[N], holder[N], attempts[N];
bit overdue[N];

/* What is on its way to the disk, in its order: 1 + m an attempt, 4 + m an end, which is answered if
 * answer[m]; 7 + m a lease, which is told then, 10 + m its end without an attempt. */
#ifdef KEPT
#define PEND 9
#else
#define PEND 6
#endif
byte pend[PEND], pend_n;
bit answer[N];

/* The disk. */
byte d_attempts[N];
bit d_ended[N];
#ifdef KEPT
byte d_lease[N];     /* 1 + who has it */
#endif

/* The consumers: has[2 * m + c] what it was handed and has said nothing of. */
bit has[2 * N];

byte faults;
byte live[N];        /* 1 + who has it by a lease that has not ended; 0: nobody */
bit acked[N];        /* its consumer was told 200 */

hidden byte i, n;

inline disk(x)
{
	assert(pend_n < PEND);
	pend[pend_n] = x; pend_n++
}

/* Whether the dispatcher may hand it out. */
#ifdef NO_ONE_GRANT
#define CAN0 (st[0] == FREE)
#else
#define CAN0 (st[0] == FREE && st[1] != OUT) /* what came back waits for what was out with it */
#endif
#ifdef NO_LANE
#define CAN1 (st[1] == FREE)
#else
#ifdef NO_LANE_WAITS
#define CAN1 (st[1] == FREE && st[0] != OUT)
#else
#define CAN1 (st[1] == FREE && st[0] == ENDED)
#endif
#endif
#define CAN1_BEHIND_0 (st[1] == FREE)
#define CAN2 (st[2] == FREE)

/* 'with': in the same grant as the one before it. */
inline hand(m, c, with)
{
	assert(live[m] == 0);
	assert(!acked[m]);
	assert(d_attempts[m] == attempts[m]);
	assert(attempts[m] < MAX);
	assert(m != 1 || st[0] == ENDED || with);
	assert(m != 0 || st[1] != OUT);
	st[m] = OUT; holder[m] = c; overdue[m] = 0;
	live[m] = 1 + c;
#ifdef KEPT
#ifdef NO_LEASE_FIRST
	has[2 * m + c] = 1;
#endif
	disk(7 + m)
#else
	has[2 * m + c] = 1
#endif
}

/* Its lease has ended, and that is no attempt. */
inline later(m)
{
	st[m] = FREE; live[m] = 0;
#ifdef KEPT
	disk(10 + m)
#endif
}

/* An attempt has failed. */
inline fail(m)
{
	live[m] = 0;
	attempts[m]++;
	if
	:: attempts[m] >= MAX -> st[m] = ENDED; answer[m] = 0; disk(4 + m)
	:: else ->
#ifdef NO_TRY
		st[m] = FREE;
#else
		st[m] = TRYING;
#endif
		disk(1 + m)
	fi
}

inline end(m, told)
{
	st[m] = ENDED; live[m] = 0; answer[m] = told;
#ifdef NO_COMMIT_FIRST
	acked[m] = told;
#endif
	disk(4 + m)
}

inline committed(x)
{
	if
#ifdef KEPT
	:: x >= 10 -> d_lease[x - 10] = 0
	:: x >= 7 && x < 10 ->
		/* what it is told as it was when it was written: it has not been handed out since */
		d_lease[x - 7] = 1 + holder[x - 7];
		if
		:: st[x - 7] == OUT -> has[2 * (x - 7) + holder[x - 7]] = 1
		:: else
		fi
	:: x >= 4 && x < 7 ->
		d_lease[x - 4] = 0;
#else
	:: x >= 4 ->
#endif
		d_ended[x - 4] = 1;
		acked[x - 4] = acked[x - 4] || answer[x - 4]
	:: else ->
		d_attempts[x - 1]++;
#ifdef KEPT
		d_lease[x - 1] = 0;
#endif
		if
		:: st[x - 1] == TRYING -> st[x - 1] = WAITING
		:: else
		fi
	fi
}

inline crash()
{
	pend_n = 0;
	for (i : 0 .. PEND - 1) {
		pend[i] = 0
	}
	for (i : 0 .. N - 1) {
		st[i] = (d_ended[i] -> ENDED : FREE);
		attempts[i] = d_attempts[i];
		overdue[i] = 0; answer[i] = 0;
#ifdef KEPT
#ifdef NO_LEASE_FIRST
		live[i] = (has[2 * i] && live[i] == 1 -> 1 : (has[2 * i + 1] && live[i] == 2 -> 2 : 0));
#else
		live[i] = (d_ended[i] -> 0 : d_lease[i]);
#endif
		holder[i] = (d_lease[i] > 0 -> d_lease[i] - 1 : 2);
#ifndef NO_ADOPT
		if
		:: !d_ended[i] && d_lease[i] > 0 -> st[i] = OUT
		:: else
		fi
#endif
#else
		live[i] = 0;
		holder[i] = 2     /* no lease of before is good any more */
#endif
	}
}

#define ALL_ENDED (d_ended[0] && d_ended[1] && d_ended[2])

/* A consumer says what became of it. */
inline says(m, c)
{
	has[2 * m + c] = 0;
	if
	:: st[m] == OUT && holder[m] == c ->
		if
		:: end(m, 1)
		:: fail(m)
		:: faults < FAULTS -> faults++; later(m)
		fi
	:: st[m] == TRYING && overdue[m] && holder[m] == c -> end(m, 1)
#ifdef NO_LOST
	:: st[m] != ENDED && holder[m] != c ->
		assert(live[m] == 0 || live[m] == 1 + c);
		end(m, 1)
#endif
	:: else     /* it has lost it */
	fi
}

active proctype world()
{
	do
	/* a grant takes one message, or two of a lane at once */
	:: atomic { CAN0 -> hand(0, 0, false); if :: true :: CAN1_BEHIND_0 -> hand(1, 0, true) fi }
	:: atomic { CAN0 -> hand(0, 1, false); if :: true :: CAN1_BEHIND_0 -> hand(1, 1, true) fi }
	:: atomic { CAN1 -> hand(1, 0, false) }
	:: atomic { CAN1 -> hand(1, 1, false) }
	:: atomic { CAN2 -> hand(2, 0, false) }
	:: atomic { CAN2 -> hand(2, 1, false) }
	:: atomic { has[0] -> says(0, 0) }
	:: atomic { has[1] -> says(0, 1) }
	:: atomic { has[2] -> says(1, 0) }
	:: atomic { has[3] -> says(1, 1) }
	:: atomic { has[4] -> says(2, 0) }
	:: atomic { has[5] -> says(2, 1) }
	/* a lease ends */
	:: atomic { st[0] == OUT -> overdue[0] = 1; fail(0) }
	:: atomic { st[1] == OUT -> overdue[1] = 1; fail(1) }
	:: atomic { st[2] == OUT -> overdue[2] = 1; fail(2) }
	/* the disk has it */
	:: atomic { pend_n > 0 -> i = pend[0]; pend_n--;
		for (n : 0 .. PEND - 2) {
			pend[n] = pend[n + 1]
		}
		pend[PEND - 1] = 0; n = 0; committed(i); i = 0 }
#ifndef NO_DUE
	/* its time is over */
	:: atomic { st[0] == WAITING -> st[0] = FREE }
	:: atomic { st[1] == WAITING -> st[1] = FREE }
	:: atomic { st[2] == WAITING -> st[2] = FREE }
#endif
	:: atomic { faults < FAULTS && !ALL_ENDED -> faults++; crash() }
	:: ALL_ENDED && pend_n == 0 -> break
	od
}
