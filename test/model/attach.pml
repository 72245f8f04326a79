/* Who holds a session: two sidecar instances, one client that moves between
 * them, late and doubled PUTs, clean start.
 *
 * The model of docs/link.md, "a session at the broker".  A PUT is a message that
 * may arrive late, and again: a cut link's bytes, a proxy.  Publishing is one
 * message of epoch e that the broker admits or not; up.pml has the rest of it.
 *
 * -DZOMBIE: another broker may go on with what is committed, while the one of before serves, does not
 * know it and can commit no more. A link leads to either of them; a PUT arrives where its link leads.
 *
 * Each rule can be switched off (-DNO_...); test/model/run.sh says what must
 * fail then. */
#ifndef FAULTS
#define FAULTS 3
#endif
#ifndef CONNECTS
#define CONNECTS 3   /* MQTT connections of the client */
#endif
#ifndef K
#define K 3          /* PUTs under way */
#endif

/* A PUT: its link closes with the connection that it was sent over. */
typedef put {
	byte from, ordinal, attempt, link;  /* ordinal 0: free */
	bit clean;
#ifdef ZOMBIE
	bit z               /* over a link to the zombie */
#endif
};
put p[K];

/* The client: its connection number is the ordinal, at whichever sidecar. */
byte at;             /* sidecar + 1, 0 while not connected */
byte connects, cleans; /* 'cleans': bit n - 1 for a connection with clean start */

/* The sidecars. */
byte ordinal[2], attempt[2], link[2], epoch[2];
bit asked[2];        /* a PUT is under way */
/* The answer on its way, over the link that it was asked over. */
byte ans[2], ans_attempt[2];
bit ended[2];        /* 409 superseded is on its way */

/* The broker's session. */
byte b_from, b_ordinal, b_attempt, b_epoch; /* b_from: sidecar + 1 */
byte gone[2];        /* the highest ordinal of each that was superseded */
byte cleaned;        /* ordinal whose clean start was applied */
byte open[2];        /* the open link of each sidecar */
byte epochs;
byte seen[2];        /* the highest ordinal of each that the broker has seen */
bit raced;           /* a first PUT was overtaken by its own client, which moved */
byte stored;         /* connections whose subscription or held id the session has */

#ifdef ZOMBIE
#define NO_LINK_IS 255
bit z;               /* there is one */
bit z_link[2];       /* the sidecar's link leads there */
bit moved[2];        /* the sidecar has been at the owner after it */
byte z_from, z_ordinal, z_attempt, z_epoch, z_gone[2], z_cleaned, z_open[2], z_stored;
byte z_holder, z_connection; /* z_from and z_ordinal that are committed */
byte z_seen[2];
#define AT_ZOMBIE(s) z_link[s]
#define ARRIVES_AT_ZOMBIE(x) p[x].z
#else
#define AT_ZOMBIE(s) false
#define ARRIVES_AT_ZOMBIE(x) false
#endif

byte faults;
hidden byte i;

#define FREE(x) (p[x].ordinal == 0)
#define SLOT (FREE(0) || FREE(1) || FREE(K - 1))
#define CLEAN(n) ((cleans >> ((n) - 1)) & 1)

inline put_send(s)
{
	i = 0;
	do
	:: !FREE(i) -> i++
	:: else -> break
	od;
	attempt[s]++;
	p[i].from = s; p[i].ordinal = ordinal[s]; p[i].attempt = attempt[s];
	p[i].link = link[s]; p[i].clean = CLEAN(ordinal[s]);
#ifdef ZOMBIE
	p[i].z = z_link[s];
#endif
	asked[s] = 1
}

inline put_free(x)
{
	p[x].from = 0; p[x].ordinal = 0; p[x].attempt = 0; p[x].link = 0; p[x].clean = 0;
#ifdef ZOMBIE
	p[x].z = 0;
#endif
	skip
}

/* "One not newer than that instance's last is 409 and changes nothing." */
#ifdef NO_ATTEMPT
#define NEWER_SAME(x) true
#else
#define NEWER_SAME(x) (p[x].ordinal > b_ordinal || \
	(p[x].ordinal == b_ordinal && p[x].attempt > b_attempt))
#endif
/* "Of another instance, an ordinal higher than any that this session has seen
 * superseded from it." */
#ifdef NO_SUPERSEDED
#define NEWER_OTHER(x) true
#else
#define NEWER_OTHER(x) (p[x].ordinal > gone[p[x].from])
#endif
#define NEWER(x) (b_from == 0 || (b_from == p[x].from + 1 && NEWER_SAME(x)) || \
	(b_from != p[x].from + 1 && NEWER_OTHER(x)))
/* "A PUT that names a closed link is refused." */
#ifdef NO_LINK
#define LINK_OPEN(x) (p[x].ordinal != 0)
#else
#define LINK_OPEN(x) (p[x].link == open[p[x].from])
#endif
/* "Clean start applies once per connection ordinal." */
#ifdef NO_CLEAN_ONCE
#define CLEANS(x) (p[x].clean)
#else
#define CLEANS(x) (p[x].clean && cleaned != p[x].ordinal)
#endif

#define HELD (at != 0 && epoch[at - 1] != 0 && epoch[at - 1] == b_epoch)
#define OTHER(x) (p[x].from != at - 1 || p[x].ordinal < ordinal[at - 1] || \
	p[x].attempt < attempt[at - 1] || (p[x].attempt == attempt[at - 1] && asked[at - 1] == 0))

inline put_arrive(x)
{
	if
	:: LINK_OPEN(x) && NEWER(x) ->
		raced = raced | (at != 0 && p[x].ordinal < connects && seen[at - 1] == connects &&
		    p[x].ordinal > seen[p[x].from] && p[x].link == open[p[x].from]);
		/* no late copy steals: who is there now keeps it, unless it is he that asks */
		assert(raced || !(HELD && OTHER(x)));
		seen[p[x].from] = (p[x].ordinal > seen[p[x].from] -> p[x].ordinal : seen[p[x].from]);
		if
		:: b_from != 0 && b_from != p[x].from + 1 ->
			gone[b_from - 1] = b_ordinal;
			epoch[b_from - 1] = (epoch[b_from - 1] == b_epoch -> 0 : epoch[b_from - 1])
		:: else
		fi;
		if
		:: CLEANS(x) ->
			/* no late copy wipes what its own connection has stored since */
			assert(!((stored >> (p[x].ordinal - 1)) & 1));
			stored = 0
		:: else
		fi;
		cleaned = (p[x].clean -> p[x].ordinal : cleaned);
		epochs++;
		b_from = p[x].from + 1; b_ordinal = p[x].ordinal; b_attempt = p[x].attempt;
		b_epoch = epochs;
		if
		:: ordinal[p[x].from] == p[x].ordinal && attempt[p[x].from] == p[x].attempt &&
		    p[x].link == link[p[x].from] && asked[p[x].from] ->
			ans[p[x].from] = b_epoch; ans_attempt[p[x].from] = p[x].attempt
		:: else
		fi
	:: LINK_OPEN(x) && !NEWER(x) && b_from != p[x].from + 1 &&
	    ordinal[p[x].from] == p[x].ordinal && p[x].link == link[p[x].from] ->
		ended[p[x].from] = 1 /* 409 superseded */
	:: else
	fi;
	put_free(x)
}

/* --- an owner that has lost the state, and does not know it; see down.pml --- */

#ifdef ZOMBIE
/* "It acknowledges nothing more: nothing that it would have to commit is answered."  Who takes a
 * session over has that committed. */
#ifdef NO_OWNER_COMMIT
#define Z_ANSWERS(x) true
#else
#define Z_ANSWERS(x) (z_from == p[x].from + 1 && z_ordinal == p[x].ordinal && \
	z_holder == z_from && z_connection == z_ordinal)
#endif
/* "A lower epoch of the same store is ignored." */
#ifdef NO_OWNER_EPOCH
#define Z_DIALLED(s) true
#else
#define Z_DIALLED(s) (!moved[s])
#endif
#define Z_NEWER(x) (z_from == 0 || (z_from == p[x].from + 1 && (p[x].ordinal > z_ordinal || \
	(p[x].ordinal == z_ordinal && p[x].attempt > z_attempt))) || \
	(z_from != p[x].from + 1 && p[x].ordinal > z_gone[p[x].from]))
#define Z_OPEN(x) (p[x].link == z_open[p[x].from])
#define Z_CURRENT(x) (ordinal[p[x].from] == p[x].ordinal && \
	attempt[p[x].from] == p[x].attempt && p[x].link == link[p[x].from] && asked[p[x].from])

inline zombie_made()
{
	z = 1;
	z_from = b_from; z_ordinal = b_ordinal; z_attempt = b_attempt; z_epoch = b_epoch;
	z_holder = b_from; z_connection = b_ordinal;
	z_gone[0] = gone[0]; z_gone[1] = gone[1];
	z_seen[0] = seen[0]; z_seen[1] = seen[1];
	z_cleaned = cleaned; z_stored = stored;
	z_open[0] = open[0]; z_open[1] = open[1];
	z_link[0] = 1; z_link[1] = 1;
	open[0] = NO_LINK_IS; open[1] = NO_LINK_IS;
	b_epoch = 0;
	i = 0;
	do
	:: i < K -> p[i].z = !FREE(i); i++
	:: else -> break
	od
}

inline zombie_arrive(x)
{
	if
	:: Z_OPEN(x) && Z_NEWER(x) ->
		raced = raced | (at != 0 && p[x].ordinal < connects && z_seen[at - 1] == connects &&
		    p[x].ordinal > z_seen[p[x].from]);
		z_seen[p[x].from] = (p[x].ordinal > z_seen[p[x].from] -> p[x].ordinal :
		    z_seen[p[x].from]);
		if
		:: z_from != 0 && z_from != p[x].from + 1 ->
			z_gone[z_from - 1] = z_ordinal;
			epoch[z_from - 1] = (z_link[z_from - 1] && epoch[z_from - 1] == z_epoch -> 0 :
			    epoch[z_from - 1])
		:: else
		fi;
		z_stored = (p[x].clean && z_cleaned != p[x].ordinal -> 0 : z_stored);
		z_cleaned = (p[x].clean -> p[x].ordinal : z_cleaned);
		z_from = p[x].from + 1; z_ordinal = p[x].ordinal; z_attempt = p[x].attempt;
		z_epoch = 0;
		if
		:: Z_ANSWERS(x) ->
			epochs++;
			z_epoch = epochs;
			if
			:: Z_CURRENT(x) ->
				/* who is let in has all that the session has got since */
				assert(at != p[x].from + 1 || p[x].ordinal != connects || p[x].clean ||
				    (stored & ~z_stored & 7) == 0);
				ans[p[x].from] = z_epoch; ans_attempt[p[x].from] = p[x].attempt
			:: else
			fi
		:: else
		fi
	:: Z_OPEN(x) && !Z_NEWER(x) && z_from != p[x].from + 1 &&
	    ordinal[p[x].from] == p[x].ordinal && p[x].link == link[p[x].from] ->
		ended[p[x].from] = 1
	:: else
	fi;
	put_free(x)
}

/* The link that the sidecar has ends, and the next one leads to the owner, or (there) to the zombie. */
inline link_leads(s, there)
{
	z_link[s] = there;
	moved[s] = moved[s] || !there;
	z_open[s] = (there -> link[s] : NO_LINK_IS);
	open[s] = (there -> NO_LINK_IS : link[s])
}

#define OF_ZOMBIE(s) \
	:: d_step { z && z_link[s] -> link_cut(s); link_leads(s, 0); skip } \
	:: d_step { z && faults < FAULTS && at == s + 1 -> faults++; link_cut(s); \
		link_leads(s, 0); skip } \
	:: d_step { z && faults < FAULTS && at == s + 1 && Z_DIALLED(s) -> faults++; \
		link_cut(s); link_leads(s, 1); skip }
#define CUTS(s) (!z)
#define EPOCH_THERE(s) (z_link[s] -> z_epoch : b_epoch)
#else
#define OF_ZOMBIE(s)
#define CUTS(s) true
#define EPOCH_THERE(s) b_epoch
#endif

inline client_connect(s, c)
{
	connects++;
	at = s + 1;
	cleans = (c -> cleans | (1 << (connects - 1)) : cleans);
	ordinal[s] = connects; attempt[s] = 0; asked[s] = 0;
	epoch[s] = 0; ans[s] = 0; ans_attempt[s] = 0; ended[s] = 0
}

inline link_cut(s)
{
	link[s]++;
	open[s] = link[s];   /* the next one is open at once */
	asked[s] = 0; epoch[s] = 0; ans[s] = 0; ans_attempt[s] = 0
}

#define SIDECAR(s) \
	:: d_step { at == 0 && connects < CONNECTS -> client_connect(s, 0); skip } \
	:: d_step { at == 0 && connects < CONNECTS -> client_connect(s, 1); skip } \
	:: d_step { at == s + 1 && !asked[s] && epoch[s] == 0 && SLOT -> put_send(s); skip } \
	:: d_step { ans[s] != 0 -> \
		epoch[s] = ans[s]; asked[s] = 0; ans[s] = 0; ans_attempt[s] = 0; skip } \
	:: d_step { at == s + 1 && !AT_ZOMBIE(s) && epoch[s] != 0 && epoch[s] == b_epoch && \
	    !((stored >> (ordinal[s] - 1)) & 1) -> stored = stored | (1 << (ordinal[s] - 1)) } \
	:: d_step { at == s + 1 && epoch[s] != 0 && epoch[s] != EPOCH_THERE(s) -> \
		/* 409: attach again, or superseded */ \
		assert(raced || b_from == s + 1 || AT_ZOMBIE(s)); \
		epoch[s] = 0; skip } \
	:: d_step { ended[s] -> \
		/* only the client that was really replaced is told so */ \
		assert(raced || !(at == s + 1 && ordinal[s] == connects)); \
		ended[s] = 0 } \
	:: d_step { CUTS(s) && faults < FAULTS && at == s + 1 -> faults++; link_cut(s); skip } \
	OF_ZOMBIE(s) \
	:: d_step { at == s + 1 && connects < CONNECTS -> at = 0 }

#ifdef ZOMBIE
#define ZOMBIE_GETS(x) :: d_step { !FREE(x) && p[x].z -> zombie_arrive(x); skip }
#define COPY_Z(x) p[i].z = p[x].z;
#define ZOMBIE_MADE :: d_step { !z && faults < FAULTS -> faults++; zombie_made(); skip }
#else
#define ZOMBIE_GETS(x)
#define COPY_Z(x)
#define ZOMBIE_MADE
#endif

#define PUT(x) \
	:: d_step { !FREE(x) && !ARRIVES_AT_ZOMBIE(x) -> put_arrive(x); skip } \
	ZOMBIE_GETS(x) \
	:: d_step { !FREE(x) && p[x].link != link[p[x].from] -> put_free(x); skip } \
	:: d_step { !FREE(x) && faults < FAULTS && SLOT -> faults++; \
		/* again */ \
		i = 0; \
		do \
		:: !FREE(i) -> i++ \
		:: else -> break \
		od; \
		p[i].from = p[x].from; p[i].ordinal = p[x].ordinal; p[i].attempt = p[x].attempt; \
		p[i].link = p[x].link; p[i].clean = p[x].clean; COPY_Z(x) skip }

init {
	do
	SIDECAR(0)
	SIDECAR(1)
	PUT(0)
	PUT(1)
	PUT(2)
	ZOMBIE_MADE
	:: at != 0 && epoch[at - 1] != 0 && epoch[at - 1] == b_epoch && connects == CONNECTS -> break
	:: raced -> break
	od
}
