/* Messages down: one broker, one sidecar, one MQTT client with a durable
 * subscription.
 *
 * The model of docs/link.md, "a delivery at the broker" and "at the sidecar":
 * delivery ids, packet ids, received and complete, rebinding by origin, what
 * both attach lists say, orphans, credit.  One process takes any step that is
 * possible; what goes wrong is counted in FAULTS.  Frames come in order on the
 * deliveries stream and requests overtake each other; those of a cut link may
 * still arrive.  Each MQTT connection starts with an empty inbox.
 *
 * Each rule can be switched off (-DNO_...); test/model/run.sh says what must
 * fail then.  -DDURABLE: what is committed survives a broker's crash; packet ids
 * of QoS 1 are never committed.  A commit may take as long as it likes, and never
 * fails: that of a message is a step of its own, and the record of a QoS 2 id and
 * its frame are one step, as a crash between them is a crash that loses the frame.
 *
 * -DZOMBIE: another broker may go on with what is committed, while the one of before serves, does not
 * know it and can commit no more; a sidecar may be at either.
 *
 * -DTRANSIENT: the same with a transient session, whose client stays connected.
 * A message comes from its own queue, which a crash loses, or from a durable
 * group's (GROUP), which has another member.  Of the session only QoS 2 ids from
 * the group survive, and its incarnation with the first of them or what its lanes
 * have stored. */
#ifndef M
#define M 2          /* messages, published in this order */
#endif
#ifndef QOS
#define QOS 22
#endif
#ifndef IDS
#define IDS 2        /* packet ids, and receive maximum */
#endif
#ifndef FAULTS
#define FAULTS 2
#endif
#define WINDOW 2     /* credit, in messages */
#define K 2          /* settlements under way */
#define F 2          /* frames under way */
#define C 4          /* packets to the client under way */
#define QOS_OF(m) ((m) == 0 -> QOS / 10 : QOS % 10)
#ifdef TRANSIENT
#define DURABLE
#ifndef GROUP
#define GROUP 10     /* 1: the message comes from the group's queue */
#endif
#define GROUPED(m) ((m) == 0 -> GROUP / 10 : GROUP % 10)
#define ONE_QUEUE (GROUP / 10 == GROUP % 10)
#else
#define GROUPED(m) 1
#define ONE_QUEUE true
#endif

/* A slot, as the broker has it and as the lists say it; 0: free. */
#define QOS1 1
#define QOS2 2
#define RECEIVED 3
#define ORPHAN 4

/* An entry of the inbox. */
#define NONE 0
#define SENT 1
#define RECEIVING 2
#define RELEASED 3
#define SETTLING 4
#define EXPECTED 6   /* the answer to an attach has listed it: its message will come */
#define GHOST 5      /* settled, but its message may still come again */

/* Settlements. */
#define CREDIT 0
#define ACK 1
#define RECEIVE 2
#define COMPLETE 3
#define BOTH 4       /* received and complete in one body */
#define SUBSCRIBE 5  /* no settlement: the subscriptions */
#define SETTLES(kind) ((kind) != CREDIT && (kind) != SUBSCRIBE)

/* Requests. */
#define FREE 0
#define TRAVELS 1
#define ADMITTED 2
#define ANSWERED 3

/* The client: what it must still say, and the QoS 2 ids that it holds. */
#define PUBACK 1
#define PUBREC 2
#define PUBCOMP 4
bit at, greeted;     /* connected, and told whether the session is present */
byte due[IDS], holds[IDS];
/* Packets on their way to it: message + 1, or 0 for a PUBREL. */
byte c_n, c_id[C], c_m[C];

/* The session at the sidecar. */
byte att, epoch, inc; /* att 0: PUT is due, 1: under way, 2: attached */
byte e_st[IDS], e_m[IDS], e_did[IDS], e_kind[IDS];
bit e_due[IDS], e_orphan[IDS], e_charged[IDS], e_again[IDS], e_seen[IDS];
byte credit, announced;

/* Frames: a stale one can only be of an older epoch. */
byte f_n, f_epoch[F], f_id[F], f_m[F], f_did[F];

typedef request {
	byte st, epoch, kind, did, id, credit;
	bit live
};
request r[K];

/* The PUT and its answer. */
byte l_m[IDS], l_inc;
bit l_qos1[IDS];
bit ans, ans_present;
byte ans_epoch, ans_inc, ans_m[IDS], ans_st[IDS], ans_did[IDS];

/* The session at the broker. */
#define B_NONE 0
#define B_FENCING 1
#define B_ATTACHED 2
#define B_GRACE 3
byte b_st, b_inc, b_epoch;
bit b_waits;
bit b_present;       /* an attachment of this session was used, so its client knows of it */
byte b_credit, b_used, next_did;
byte s_m[IDS], s_st[IDS], s_did[IDS];
bit s_resend[IDS];

/* A message at the broker. */
#define NEW 0
#define WAITING 1
#define TAKEN 2
#define DONE 3
#define LOST 4       /* with a broker without a disk */
#define COMING 5     /* admitted, and not committed */
byte q[M];
#ifdef NO_COMMIT_FIRST
bit early[M];        /* taken before its commit */
#endif

#ifdef TRANSIENT
bit sub_due;         /* the sidecar has to subscribe */
bit b_sub;           /* the broker has the subscriptions */
bit b_stored;        /* the session is stored */
bit b_renewed, ans_renewed;
#ifdef NO_END_FIRST
byte kept_m[IDS], kept_st[IDS]; /* ids as they are stored */
#endif
#define SUBSCRIBED b_sub
#define RENEWED b_renewed
#else
#define SUBSCRIBED true
#define RENEWED false
#endif

#ifdef ZOMBIE
bit z;               /* there is one */
bit z_at;            /* the sidecar's link is there */
bit z_same;          /* the connection is the one that it knows as the session's holder */
bit z_present, z_resend[IDS], z_wait[M];
byte z_inc, z_epoch, z_m[IDS], z_st[IDS];
bit moved;           /* the sidecar has been at the owner after it */
#endif

byte faults;
bit got[M];          /* by the client */

hidden byte i, j, k, w;

#define EPOCH_USED(v) (epoch == v || b_epoch == v || ans_epoch == v || f_epoch[0] == v || \
	f_epoch[1] == v || r[0].epoch == v || r[1].epoch == v)

/* --- the client --- */

inline client_write(x, m)
{
	assert(c_n < C);
	c_id[c_n] = x;
	c_m[c_n] = m;
	c_n++
}

inline client_first_copy(m)
{
	i = 0;
	do
	/* first copies come in order */
	:: i < m -> assert(got[i] || q[i] == LOST || !ONE_QUEUE); i++
	:: else -> break
	od;
	got[m] = 1
}

inline client_read()
{
	j = c_id[0];
	w = c_m[0];
	i = 0;
	do
	:: i < C - 1 -> c_id[i] = c_id[i + 1]; c_m[i] = c_m[i + 1]; i++
	:: else -> break
	od;
	c_id[C - 1] = 0; c_m[C - 1] = 0;
	c_n--;
	if
	:: w == 0 -> /* PUBREL */
		assert(!(holds[j] != 0 && (due[j] & PUBREC)));
		holds[j] = 0;
		due[j] = due[j] | PUBCOMP
	:: w != 0 && QOS_OF(w - 1) == 1 ->
		if
		:: !got[w - 1] -> client_first_copy((w - 1))
		:: else
		fi;
		due[j] = due[j] | PUBACK
	:: w != 0 && QOS_OF(w - 1) == 2 ->
		if
		:: holds[j] != 0 ->
			assert(holds[j] == w); /* a new message is not taken for a copy */
			due[j] = due[j] | PUBREC
		:: else ->
			assert(!got[w - 1]);   /* no QoS 2 duplicate */
			client_first_copy((w - 1));
			holds[j] = w;
			due[j] = due[j] | PUBREC
		fi
	fi
}

/* --- the inbox --- */

inline entry_clear(x)
{
	e_st[x] = NONE; e_m[x] = 0; e_did[x] = 0; e_kind[x] = 0;
	e_due[x] = 0; e_orphan[x] = 0; e_charged[x] = 0; e_again[x] = 0; e_seen[x] = 0
}

inline entry_post(x)
{
	if
	:: e_st[x] == SETTLING && e_charged[x] -> e_charged[x] = 0; credit++
	:: else
	fi;
	e_due[x] = (e_st[x] == SENT || e_st[x] == EXPECTED -> 0 : 1)
}

inline entry_finish(x, how)
{
	e_st[x] = SETTLING;
	e_kind[x] = (e_orphan[x] -> COMPLETE : how);
	entry_post(x)
}

inline entry_release(x)
{
	e_st[x] = RELEASED;
	e_due[x] = 0;
	client_write(x, 0)
}

/* "PUBREL only after `received` is committed." */
inline client_says(x, what)
{
	due[x] = due[x] & (7 - what);
	if
	:: what == PUBACK && e_st[x] == SENT -> entry_finish(x, ACK)
	:: what == PUBREC && e_st[x] == SENT && e_orphan[x] -> entry_release(x)
	:: what == PUBREC && e_st[x] == SENT && !e_orphan[x] ->
		e_st[x] = RECEIVING;
		entry_post(x);
#ifdef NO_RELEASE_WAITS
		client_write(x, 0)
#endif
	:: what == PUBREC && (e_st[x] == NONE || e_st[x] == GHOST || e_st[x] == RELEASED) ->
		client_write(x, 0)
	:: what == PUBCOMP && e_st[x] == RELEASED -> entry_finish(x, COMPLETE)
	:: else
	fi
}

/* "Frames of another epoch are discarded." */
#ifdef NO_FRAME_EPOCH
#define FRAME_COUNTS (att == 2)
#else
#define FRAME_COUNTS (att == 2 && f_epoch[0] == epoch)
#endif
/* "The sidecar matches by queue and origin", and what it has forgotten but for its
 * late copy by that copy's delivery id. */
#define ENTERED(x) (e_st[x] != NONE && e_st[x] != EXPECTED && \
	(e_st[x] != GHOST || e_did[x] == f_did[0]))
#ifdef NO_ORIGIN
#define MATCHES(x) ENTERED(x)
#else
#define MATCHES(x) (ENTERED(x) && e_m[x] == f_m[0])
#endif

/* Nothing tells which new message is the last before a late copy. */
inline ghosts_clear()
{
#ifdef NO_COPY_ID
	i = 0;
	do
	:: i < IDS ->
		if
		:: e_st[i] == GHOST -> entry_clear(i)
		:: else
		fi;
		i++
	:: else -> break
	od
#else
	skip
#endif
}

inline inbox_frame()
{
	j = f_id[0];
	if
	:: FRAME_COUNTS && at && MATCHES(j) ->
		e_did[j] = f_did[0];
		e_charged[j] = 1;
		e_seen[j] = 1;
		e_st[j] = (e_st[j] == GHOST -> SETTLING : e_st[j]);
		entry_post(j)
	:: FRAME_COUNTS && at && !MATCHES(j) ->
		/* new, or the id is used anew: the broker finished the old delivery
		 * before its answer to our settlement got here */
		entry_clear(j);
		ghosts_clear();
		e_st[j] = SENT;
		e_seen[j] = 1;
		e_m[j] = f_m[0];
		e_did[j] = f_did[0];
		e_charged[j] = 1;
		client_write(j, f_m[0])
	:: else
	fi;
	frame_drop()
}

inline frame_drop()
{
	f_epoch[0] = f_epoch[1]; f_id[0] = f_id[1]; f_m[0] = f_m[1]; f_did[0] = f_did[1];
	f_epoch[1] = 0; f_id[1] = 0; f_m[1] = 0; f_did[1] = 0;
	f_n--
}

/* The answer to the PUT. */
inline inbox_attached()
{
	epoch = ans_epoch;
	att = 2;
	credit = WINDOW;
	announced = 0;
	if
	:: !greeted && !ans_present ->
		/* CONNACK without session present: the client forgets what it holds. */
		i = 0;
		do
		:: i < IDS -> holds[i] = 0; i++
		:: else -> break
		od
	:: else
	fi;
	greeted = 1;
	k = 0;
	do
	:: k < IDS ->
		if
		:: ans_st[k] == 0 ->
			/* "An outbound id absent there is finished." */
			if
			:: e_st[k] == RECEIVING -> client_write(k, 0)
			:: else
			fi;
			entry_clear(k)
		:: ans_st[k] != 0 && e_st[k] != NONE && e_st[k] != GHOST && e_m[k] == ans_m[k] ->
#ifdef NO_DROP
			/* what was due keeps its old delivery id */
			e_did[k] = (e_due[k] -> e_did[k] : ans_did[k]);
#else
			/* "Pending settlements are dropped at attach and made again by the
			 * new delivery ids." */
			e_did[k] = ans_did[k];
#endif
			e_due[k] = 0; e_charged[k] = 0; e_again[k] = 0;
			e_seen[k] = (ans_st[k] == RECEIVED || ans_st[k] == ORPHAN);
			e_orphan[k] = e_orphan[k] | (ans_st[k] == ORPHAN);
			if
			:: e_st[k] == SENT && ans_st[k] == RECEIVED -> entry_release(k)
			:: e_st[k] == EXPECTED && ans_st[k] != QOS2 -> entry_release(k)
			:: e_st[k] == RECEIVING && (ans_st[k] == RECEIVED || ans_st[k] == ORPHAN) ->
				entry_release(k)
			:: e_st[k] == RECEIVING && (ans_st[k] == QOS2) -> entry_post(k)
			:: e_st[k] == RELEASED && ans_st[k] == QOS2 -> e_due[k] = 1
			:: e_st[k] == SETTLING ->
				e_kind[k] = (ans_st[k] == ORPHAN -> COMPLETE : e_kind[k]);
				e_again[k] = (ans_st[k] == QOS2 && e_kind[k] == COMPLETE);
				entry_post(k)
			:: else
			fi
		:: else ->
			entry_clear(k);
			if
			:: ans_st[k] == RECEIVED || ans_st[k] == ORPHAN ->
				e_m[k] = ans_m[k];
				e_did[k] = ans_did[k];
				e_seen[k] = 1;
				e_orphan[k] = (ans_st[k] == ORPHAN);
#ifdef NO_ORPHAN_RELEASE
				/* an orphan is completed at once */
				if
				:: ans_st[k] == ORPHAN -> entry_finish(k, COMPLETE)
				:: else -> entry_release(k)
				fi
#else
				/* An older connection may have taken its message: the client
				 * holds the id until PUBREL. */
				entry_release(k)
#endif
#ifndef NO_EXPECTED
			/* The client may hold it since an older connection: the next PUT must
			 * list it. */
			:: ans_st[k] == QOS2 ->
				e_st[k] = EXPECTED; e_m[k] = ans_m[k]; e_did[k] = ans_did[k]
#endif
			:: else
			fi
		fi;
		k++
	:: else -> break
	od;
#ifdef TRANSIENT
#ifdef NO_RENEWED
	ans_renewed = 0;
#endif
	sub_due = sub_due | ans_renewed | (inc != ans_inc);
#endif
	inc = ans_inc;
	ans_clear()
}

inline ans_clear()
{
#ifdef TRANSIENT
	ans_renewed = 0;
#endif
	ans = 0; ans_present = 0; ans_epoch = 0; ans_inc = 0;
	i = 0;
	do
	:: i < IDS -> ans_m[i] = 0; ans_st[i] = 0; ans_did[i] = 0; i++
	:: else -> break
	od
}

#define SLOT (r[0].st == FREE || r[1].st == FREE)

inline settle_post(x, how)
{
	k = (r[0].st == FREE -> 0 : 1);
	r[k].st = TRAVELS; r[k].epoch = epoch; r[k].kind = how;
	r[k].live = 1; r[k].credit = credit;
	if
	:: SETTLES(how) -> r[k].id = x; r[k].did = e_did[x]; e_due[x] = 0; e_again[x] = 0
	:: else
	fi;
	announced = credit
}

#define KIND(x) (e_st[x] == SETTLING -> (e_again[x] -> BOTH : e_kind[x]) : RECEIVE)

inline request_free(x)
{
	r[x].st = FREE; r[x].epoch = 0; r[x].kind = 0; r[x].did = 0; r[x].id = 0;
	r[x].credit = 0; r[x].live = 0
}

inline settle_answered(x)
{
	k = r[x].id;
	if
#ifdef TRANSIENT
	:: att == 2 && r[x].epoch == epoch && r[x].kind == SUBSCRIBE -> sub_due = 0
#endif
	:: att == 2 && r[x].epoch == epoch && SETTLES(r[x].kind) && e_st[k] != NONE &&
	    e_did[k] == r[x].did ->
		if
		:: r[x].kind == RECEIVE && e_st[k] == RECEIVING -> entry_release(k)
#ifndef NO_GHOST
		:: r[x].kind != RECEIVE && e_st[k] == SETTLING && !e_seen[k] ->
			e_st[k] = GHOST; e_due[k] = 0
		:: r[x].kind != RECEIVE && e_st[k] == SETTLING && e_seen[k] -> entry_clear(k)
#else
		:: r[x].kind != RECEIVE && e_st[k] == SETTLING -> entry_clear(k)
#endif
		:: else
		fi
	:: else
	fi;
	request_free(x)
}

/* --- the broker --- */

inline broker_put()
{
	if
	:: b_st == B_NONE ->
		b_inc = (inc == 1 -> 2 : 1);
#ifdef TRANSIENT
		b_sub = 0
#endif
	:: else
	fi;
	b_epoch = 0;
	j = 1;
	do
	:: EPOCH_USED(j) -> j++
	:: else -> break
	od;
	b_epoch = j;
	b_st = B_FENCING;
	b_waits = 1;
	att = 1;
	l_inc = inc;
	i = 0;
	do
	:: i < IDS ->
		/* "The PUT lists the outbound ids that its client still has open." */
		l_m[i] = (e_st[i] != NONE && e_st[i] != GHOST -> e_m[i] : 0);
		i++
	:: else -> break
	od
}

/* Takes the listed ids in. */
inline broker_open_ids()
{
	i = 0;
	do
	:: i < IDS ->
		if
#ifndef NO_ORPHANS
		:: l_m[i] != 0 && l_inc != b_inc ->
			/* "When the incarnation changed, the broker assigns none of the listed
			 * ids until complete." */
			if
			:: s_st[i] != 0 && s_st[i] != ORPHAN && s_m[i] != 0 -> q[s_m[i] - 1] = WAITING
			:: else
			fi;
			s_st[i] = ORPHAN; s_m[i] = l_m[i]
#endif
#ifndef NO_RENEWED_ORPHANS
		:: l_m[i] != 0 && l_inc == b_inc && RENEWED && s_st[i] == 0 ->
			/* "An id of the PUT's list for which the broker has no delivery
			 * becomes an orphan." */
			s_st[i] = ORPHAN; s_m[i] = l_m[i]
#endif
#if !defined(NO_KEEP_IDS) && !defined(TRANSIENT)
		:: l_m[i] != 0 && l_inc == b_inc && s_st[i] == 0 && q[l_m[i] - 1] == WAITING ->
			/* "The broker keeps those ids for those messages": of QoS 1, after its
			 * own crash. */
			s_st[i] = QOS1; s_m[i] = l_m[i]; q[l_m[i] - 1] = TAKEN
#endif
		:: else
		fi;
		l_m[i] = 0;
		i++
	:: else -> break
	od;
	l_inc = 0
}

inline broker_put_answer()
{
	if
	:: b_waits -> broker_open_ids()
	:: else
	fi;
	next_did = 1;
	b_credit = 0; b_used = 0;
#ifdef NO_CREDIT
	b_credit = WINDOW;
#endif
	ans_present = b_waits && b_present;
#ifdef NO_PRESENT
	b_present = 1; /* the answer may never arrive */
#endif
	i = 0;
	do
	:: i < IDS ->
		s_did[i] = 0; s_resend[i] = 0;
		if
		:: s_st[i] != 0 ->
			s_did[i] = next_did;
			next_did++;
			s_resend[i] = (s_st[i] == QOS1 || s_st[i] == QOS2)
		:: else
		fi;
		if
		:: b_waits -> ans_m[i] = s_m[i]; ans_st[i] = s_st[i]; ans_did[i] = s_did[i]
		:: else
		fi;
		i++
	:: else -> break
	od;
	if
	:: b_waits -> b_st = B_ATTACHED; ans = 1; ans_epoch = b_epoch; ans_inc = b_inc;
#ifdef TRANSIENT
		ans_renewed = b_renewed;
#ifdef NO_RENEWED_KEPT
		b_renewed = 0 /* the answer may never arrive */
#endif
#endif
	:: else -> b_st = B_GRACE
	fi;
	b_waits = 0
}

inline frame_put(x)
{
	f_epoch[f_n] = b_epoch; f_id[f_n] = x; f_m[f_n] = s_m[x]; f_did[f_n] = s_did[x];
	f_n++;
	b_used++
}

inline broker_send(m, x)
{
	s_m[x] = m + 1; s_st[x] = QOS_OF(m);
	s_did[x] = next_did; next_did++;
#ifdef NO_COMMIT_FIRST
	early[m] = (q[m] == COMING);
#endif
#ifdef TRANSIENT
	b_stored = b_stored | (GROUPED(m) && QOS_OF(m) == 2);
#endif
	q[m] = TAKEN;
	slot_commit(x);
	frame_put(x)
}

/* Ids of a transient session that are stored: of QoS 2, from a durable queue. */
#define STORED(x) ((s_st[x] == QOS2 || s_st[x] == RECEIVED) && GROUPED(s_m[x] - 1))

/* The store has the id as it is now. */
inline slot_commit(x)
{
#ifdef NO_END_FIRST
	/* but for its end, which is still to be committed when the id is used anew */
	kept_m[x] = (STORED(x) -> s_m[x] : kept_m[x]);
	kept_st[x] = (STORED(x) -> s_st[x] : kept_st[x])
#else
	skip
#endif
}

/* An id is found by its delivery id. */
#ifdef NO_DELIVERY_ID
#define NAMES(x, y) (y == r[x].id && s_st[y] != 0)
#else
#define NAMES(x, y) (s_st[y] != 0 && s_did[y] == r[x].did)
#endif

inline slot_free(x)
{
	s_m[x] = 0; s_st[x] = 0; s_did[x] = 0; s_resend[x] = 0
}

/* The settlement's commit. */
inline broker_settle(x)
{
	k = 0;
	do
	:: k < IDS && !(SETTLES(r[x].kind) && NAMES(x, k)) -> k++
	:: else -> break
	od;
	if
	:: k < IDS ->
		if
		:: s_st[k] == QOS1 || s_st[k] == QOS2 ->
			assert(got[s_m[k] - 1]); /* no acknowledged loss */
			q[s_m[k] - 1] = DONE
		:: else
		fi;
		if
		:: r[x].kind == RECEIVE && s_st[k] == QOS2 ->
			s_st[k] = RECEIVED; s_resend[k] = 0;
			slot_commit(k);
#ifdef NO_COMPLETE
			slot_free(k)
#endif
		:: r[x].kind != RECEIVE -> slot_free(k)
		:: else
		fi
	:: else
	fi;
#ifdef TRANSIENT
	b_sub = b_sub | (r[x].kind == SUBSCRIBE);
#endif
	if
	:: r[x].live -> r[x].st = ANSWERED; r[x].credit = 0
	:: else -> request_free(x)
	fi
}

/* --- what goes wrong --- */

inline link_cut()
{
	i = 0;
	do
	:: i < K ->
		r[i].live = 0;
		if
		:: r[i].st == ANSWERED -> request_free(i)
		:: else
		fi;
		i++
	:: else -> break
	od;
	do
	:: f_n > 0 -> frame_drop()
	:: else -> break
	od;
	put_gone()
}

inline put_gone()
{
#ifdef ZOMBIE
	z_at = 0;
#endif
	ans_clear();
	b_waits = 0;
	att = 0; epoch = 0;
	credit = 0; announced = 0;
	i = 0;
	do
	:: i < IDS -> l_m[i] = 0; i++
	:: else -> break
	od;
	l_inc = 0
}

/* The client's connection ends, and its inbox. */
inline client_gone()
{
#ifdef ZOMBIE
	z_same = 0; moved = 0;
#endif
	put_gone();
	at = 0; greeted = 0; inc = 0;
	i = 0;
	do
	:: i < IDS -> due[i] = 0; entry_clear(i); i++
	:: else -> break
	od;
	i = 0;
	do
	:: i < C -> c_id[i] = 0; c_m[i] = 0; i++
	:: else -> break
	od;
	c_n = 0
}

/* "QoS 2 durable before the frame leaves." */
#ifdef TRANSIENT
#ifdef NO_DURABLE_ID
#define FORGOTTEN(x) (s_st[x] != 0 && !(s_st[x] == RECEIVED && STORED(x)))
#else
#define FORGOTTEN(x) (s_st[x] != 0 && !STORED(x))
#endif
#elif defined(NO_DURABLE_ID)
#define FORGOTTEN(x) (s_st[x] == QOS1 || s_st[x] == QOS2)
#else
#define FORGOTTEN(x) (s_st[x] == QOS1)
#endif

inline broker_crash()
{
	link_cut();
	i = 0;
	do
	:: i < K -> request_free(i); i++
	:: else -> break
	od;
	broker_restarted()
}

/* The state goes on from what is committed. */
inline broker_restarted()
{
	b_epoch = 0; next_did = 0; b_credit = 0; b_used = 0;
	i = 0;
	do
	:: i < IDS ->
#ifdef DURABLE
		s_did[i] = 0; s_resend[i] = 0;
		if
		:: FORGOTTEN(i) && (s_st[i] == QOS1 || s_st[i] == QOS2) ->
			q[s_m[i] - 1] = WAITING; slot_free(i)
		:: FORGOTTEN(i) && (s_st[i] == RECEIVED || s_st[i] == ORPHAN) -> slot_free(i)
		:: else
		fi;
#ifdef NO_END_FIRST
		s_m[i] = kept_m[i]; s_st[i] = kept_st[i];
#endif
#else
		slot_free(i);
#endif
		i++
	:: else -> break
	od;
#ifdef DURABLE
	b_st = (b_st == B_NONE -> B_NONE : B_GRACE);
	i = 0;
	do
	:: i < M ->
#ifdef NO_COMMIT_FIRST
		q[i] = (early[i] -> NEW : q[i]);
		early[i] = 0;
#endif
		/* its publisher has no answer, and sends it again */
		q[i] = (q[i] == COMING -> NEW : q[i]);
		q[i] = (!GROUPED(i) && q[i] == WAITING -> LOST : q[i]);
		i++
	:: else -> break
	od;
#ifdef TRANSIENT
	b_sub = 0;
	b_renewed = b_stored;
	b_st = (b_stored -> b_st : B_NONE);
	b_inc = (b_stored -> b_inc : 0);
	b_present = (b_stored -> b_present : 0)
#endif
#else
	b_st = B_NONE;
	b_inc = 0; b_present = 0;
	i = 0;
	do
	:: i < M ->
		q[i] = (q[i] == WAITING || (q[i] == TAKEN) -> LOST : q[i]);
		i++
	:: else -> break
	od
#endif
}

/* --- an owner that has lost the state, and does not know it --- */

#ifdef ZOMBIE
/* "It acknowledges nothing more: nothing that it would have to commit is answered."  Who takes a
 * session over has that committed. */
#ifdef NO_OWNER_COMMIT
#define ZOMBIE_ANSWERS (z_inc != 0)
#else
#define ZOMBIE_ANSWERS (z_same && z_inc != 0)
#endif
/* "A lower epoch of the same store is ignored." */
#ifdef NO_OWNER_EPOCH
#define ZOMBIE_ASKED true
#else
#define ZOMBIE_ASKED (!moved)
#endif

/* Another broker goes on with what is committed; this one stays as it is.  Its link is open. */
inline zombie_made()
{
	z = 1;
	z_at = (att != 0);
	z_same = at && (att != 0 || greeted) && b_st != B_NONE;
	z_inc = b_inc;
	z_present = b_present;
	i = 0;
	do
	:: i < IDS -> z_m[i] = s_m[i]; z_st[i] = s_st[i]; l_m[i] = 0; i++
	:: else -> break
	od;
	l_inc = 0;
	b_waits = 0;
	i = 0;
	do
	:: i < M -> z_wait[i] = (q[i] == WAITING); i++
	:: else -> break
	od;
	i = 0;
	do
	:: i < K ->
		if
		:: r[i].st == ADMITTED -> request_free(i) /* neither committed nor answered */
		:: else
		fi;
		i++
	:: else -> break
	od;
	broker_restarted()
}

inline zombie_put()
{
	j = 1;
	do
	:: EPOCH_USED(j) -> j++
	:: else -> break
	od;
	z_at = 1;
	z_epoch = j;
	att = 1;
	ans = 1; ans_epoch = j; ans_inc = z_inc; ans_present = z_present;
	i = 0;
	do
	:: i < IDS ->
		if
		:: e_st[i] != NONE && e_st[i] != GHOST && inc == z_inc && z_st[i] == 0 &&
		    z_wait[e_m[i] - 1] ->
			z_st[i] = QOS1; z_m[i] = e_m[i]; z_wait[e_m[i] - 1] = 0 /* the list's */
		:: else
		fi;
		ans_m[i] = z_m[i]; ans_st[i] = z_st[i];
		ans_did[i] = (z_st[i] != 0 -> i + 1 : 0);
		z_resend[i] = (z_st[i] == QOS1 || z_st[i] == QOS2);
		i++
	:: else -> break
	od
}

inline zombie_send(x)
{
	z_resend[x] = 0;
	f_epoch[f_n] = z_epoch; f_id[f_n] = x; f_m[f_n] = z_m[x]; f_did[f_n] = x + 1;
	f_n++
}

#define ZOMBIE_SENDS(x) \
	:: d_step { z_at && att == 2 && epoch == z_epoch && z_resend[x] && f_n < F -> \
		zombie_send(x); skip }
#define MOVES moved = z;
#else
#define MOVES
#endif

/* --- all steps --- */

#define CAN_SEND (b_st == B_ATTACHED && b_used < b_credit && f_n < F)
/* What is sent again goes in the queue's order with what lost its id by the
 * broker's crash and waits again. */
#ifdef NO_QUEUE_ORDER
#define RESENDS_BEFORE(m) (s_resend[0] || s_resend[IDS - 1])
#define IN_ORDER(x) true
#else
#define RESENDS_BEFORE(m) ((s_resend[0] && s_m[0] < m + 1) || \
	(s_resend[IDS - 1] && s_m[IDS - 1] < m + 1))
#define IN_ORDER(x) (!(ONE_QUEUE && q[0] == WAITING && s_m[x] > 1))
#endif
#define FIRST_RESEND(x) (s_resend[x] && !(s_resend[0] && s_m[0] < s_m[x]) && \
	!(s_resend[IDS - 1] && s_m[IDS - 1] < s_m[x]))
#define ROOM (c_n + 2 <= C)

#define ID(x) \
	:: d_step { at && due[x] & PUBACK && ROOM -> client_says(x, PUBACK); skip } \
	:: d_step { at && due[x] & PUBREC && ROOM -> client_says(x, PUBREC); skip } \
	:: d_step { at && due[x] & PUBCOMP && ROOM -> client_says(x, PUBCOMP); skip } \
	:: d_step { att == 2 && e_due[x] && SLOT -> w = KIND(x); settle_post(x, w); skip } \
	:: d_step { CAN_SEND && FIRST_RESEND(x) && IN_ORDER(x) -> s_resend[x] = 0; frame_put(x); skip }

#define SEND(m, x) \
	:: d_step { CAN_SEND && CAN_TAKE(m) && s_st[x] == 0 -> broker_send(m, x); skip }

/* In its queue's order, and from a durable queue after its commit. */
#ifdef NO_COMMIT_FIRST
#define READY(m) (q[m] == WAITING || q[m] == COMING)
#else
#define READY(m) (q[m] == WAITING)
#endif
#define CAN_TAKE(m) (SUBSCRIBED && READY(m) && \
	(!ONE_QUEUE || (!RESENDS_BEFORE(m) && (m == 0 || !READY(0)))))

/* The group's other member: a QoS 2 message that it gets is nobody else's. */
#ifdef TRANSIENT
#define OTHER(m) \
	:: d_step { GROUPED(m) && q[m] == WAITING -> \
		assert(!(got[m] && QOS_OF(m) == 2)); \
		got[m] = 1; q[m] = DONE }
#else
#define OTHER(m)
#endif

/* A message is admitted, then committed; a memory engine does both at once. */
#ifdef DURABLE
#define PUBLISH(m) \
	:: d_step { (m == 0 || q[0] != NEW) && q[m] == NEW && (GROUPED(m) || SUBSCRIBED) && \
	    b_st != B_NONE -> q[m] = COMING } \
	:: d_step { q[m] == COMING && (m == 0 || q[0] != COMING) -> q[m] = WAITING } \
	PUBLISH_EARLY(m)
#else
#define PUBLISH(m) \
	:: d_step { (m == 0 || q[0] != NEW) && q[m] == NEW && b_st != B_NONE -> q[m] = WAITING }
#endif
#ifdef NO_COMMIT_FIRST
#define PUBLISH_EARLY(m) :: d_step { early[m] -> early[m] = 0 }
#else
#define PUBLISH_EARLY(m)
#endif

#define REQUEST(x) \
	:: d_step { r[x].st == TRAVELS && EPOCH_COUNTS(x) -> \
		r[x].st = ADMITTED; b_present = 1; USED \
		b_credit = (r[x].credit > b_credit -> r[x].credit : b_credit); skip } \
	:: d_step { r[x].st == TRAVELS && !EPOCH_COUNTS(x) -> request_free(x); skip } \
	:: d_step { r[x].st == TRAVELS && !r[x].live -> request_free(x); skip } \
	:: d_step { r[x].st == ADMITTED -> broker_settle(x); skip } \
	:: d_step { r[x].st == ANSWERED && ROOM -> settle_answered(x); skip }

/* "It stays renewed until the first POST of it is admitted." */
#ifdef TRANSIENT
#define USED b_renewed = 0;
#else
#define USED
#endif

#ifdef NO_SETTLE_EPOCH
#define EPOCH_COUNTS(x) (b_st == B_ATTACHED)
#else
#define EPOCH_COUNTS(x) (b_st == B_ATTACHED && r[x].epoch == b_epoch)
#endif

#ifdef NO_FENCE_WAIT
#define FENCED true
#else
#define FENCED (r[0].st != ADMITTED && r[1].st != ADMITTED)
#endif

#define FINISHED(m) (q[m] == DONE || q[m] == LOST)
#define ALL_FREE (s_st[0] == 0 && s_st[IDS - 1] == 0)

init {
	do
	ID(0)
	SEND(0, 0)
	SEND(1, 0)
#if IDS > 1
	ID(1)
	SEND(0, 1)
	SEND(1, 1)
#endif
	REQUEST(0)
	REQUEST(1)
	:: d_step { c_n > 0 -> client_read(); skip }
	:: d_step { f_n > 0 && ROOM -> inbox_frame(); skip }
	:: d_step { !at -> at = 1 }
	:: d_step { at && att == 0 ->
		MOVES
		broker_put();
		if
		:: FENCED -> broker_put_answer() /* what it lists is taken in at once */
		:: else
		fi;
		skip }
	:: d_step { b_st == B_FENCING && FENCED -> broker_put_answer(); skip }
	:: d_step { ans && att == 1 && c_n + IDS <= C -> inbox_attached(); skip }
	:: d_step { att == 2 && credit > announced && SLOT -> settle_post(0, CREDIT); skip }
#ifdef TRANSIENT
	:: d_step { att == 2 && sub_due && SLOT && r[0].kind != SUBSCRIBE && \
	    r[1].kind != SUBSCRIBE -> settle_post(0, SUBSCRIBE); skip }
	:: d_step { b_st == B_ATTACHED && b_present && !b_stored -> b_stored = 1 }
#endif
#ifdef ZOMBIE
	:: d_step { faults < FAULTS && !z && b_st != B_NONE -> faults++; zombie_made(); skip }
	:: d_step { at && att == 0 && z && ZOMBIE_ASKED && ZOMBIE_ANSWERS -> zombie_put(); skip }
	:: d_step { z_at -> link_cut(); skip }
	ZOMBIE_SENDS(0)
#if IDS > 1
	ZOMBIE_SENDS(1)
#endif
#endif
	PUBLISH(0)
	PUBLISH(1)
	OTHER(0)
	OTHER(1)
	/* faults */
#ifndef TRANSIENT
	:: d_step { faults < FAULTS && at -> faults++; client_gone(); skip }
	:: d_step { faults < FAULTS && at -> faults++; link_cut(); client_gone(); skip }
#endif
	:: d_step { faults < FAULTS && att != 0 -> faults++; link_cut(); skip }
	:: d_step { faults < FAULTS && b_st != B_NONE -> faults++; broker_crash(); skip }
	:: FINISHED(0) && FINISHED(1) && ALL_FREE -> break
	od
}
