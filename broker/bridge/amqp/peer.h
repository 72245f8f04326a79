/* One connection to an AMQP 0.9.1 peer, with one channel, and a second one for what the peer may close it
 * for: librabbitmq's, whose calls block.
 *
 * What waits for an answer has an end here, and keeps nothing that comes meanwhile: librabbitmq's own
 * calls of that kind queue what a peer sends without a bound.  A peer's frame has 128 KiB at most, its
 * channels are 0, 1 and, once it is used, 2; what is beside that is no peer of ours.
 *
 * Thread: one at a time; a struct of its own each. */
#ifndef SQ_BROKER_BRIDGE_AMQP_PEER_H
#define SQ_BROKER_BRIDGE_AMQP_PEER_H

#include <amqp.h>
#include <amqp_framing.h>
#include <stdbool.h>

#include "broker/bridge/amqp/url.h"
#include "core/buf.h"
#include "core/err.h"
#include "core/msg.h"

enum {
	SQ_AMQP_CHANNEL = 1,
	SQ_AMQP_LOOK_CHANNEL = 2,   /* to look at what may not be there */
	SQ_AMQP_FRAME_MAX = 131072, /* RabbitMQ's own */
	SQ_AMQP_DIAL_MS = 10000,    /* a connection and its TLS; the login; each answer */
};

/* Kinds of trouble, each told once while a peer is away. */
enum sq_amqp_trouble {
	SQ_AMQP_UNREACHABLE,
	SQ_AMQP_FILES, /* of this machine: credentials, certificates */
	SQ_AMQP_TLS,
	SQ_AMQP_REFUSED,  /* the login, the virtual host */
	SQ_AMQP_TOPOLOGY, /* an exchange or a queue is not there, or not so */
	SQ_AMQP_LOST,     /* what was there has ended */
	SQ_AMQP_NONSENSE, /* it speaks no AMQP 0.9.1 */
};

struct sq_amqp_files {
	char *user, *password; /* NULL: the certificate says who we are */
	char *ca, *cert, *key; /* NULL: the system's authorities; none */
};

struct sq_amqp_peer_cfg {
	struct sq_amqp_url *urls;
	size_t n_urls;
	struct sq_amqp_files files;
	unsigned heartbeat_s; /* 0: none */
	char *user_agent;     /* "sqmqos/1.2" */
};

struct sq_amqp_peer;

/* Whether the files can be read and say what they should.  SQ_EINVAL with a line in 'err'. */
int sq_amqp_files_check(const struct sq_amqp_files *, struct sq_buf *err) SQ_MUST_CHECK;

/* Connects, logs in and opens the channel.  NULL with what went wrong.  'opened' is called with the
 * socket as soon as there is one, before the login: shutdown() of it ends whatever is under way. */
struct sq_amqp_peer *sq_amqp_peer_dial(const struct sq_amqp_peer_cfg *, const struct sq_amqp_url *,
    void (*opened)(void *arg, int fd), void *arg, enum sq_amqp_trouble *, struct sq_buf *why);
/* Ends it without a word. */
void sq_amqp_peer_free(struct sq_amqp_peer **);
/* Says that it ends, and waits a moment for the answer, reading what comes before that. */
void sq_amqp_peer_bye(struct sq_amqp_peer *);

amqp_connection_state_t sq_amqp_peer_state(const struct sq_amqp_peer *);
int sq_amqp_peer_fd(const struct sq_amqp_peer *);
/* While it is on, what is sent goes in packets that are full; off: with what is left. */
void sq_amqp_peer_cork(const struct sq_amqp_peer *, bool on);
/* Bytes of a frame that the peer takes. */
size_t sq_amqp_peer_frame_max(const struct sq_amqp_peer *);
/* Whether it takes no messages just now (connection.blocked), and the reason that it gave. */
bool sq_amqp_peer_blocked(const struct sq_amqp_peer *);
const char *sq_amqp_peer_blocked_why(const struct sq_amqp_peer *);
/* After an error: what kind, by sq_amqp_peer_next() and all that follow. */
enum sq_amqp_trouble sq_amqp_peer_trouble(const struct sq_amqp_peer *);

/* Takes the next frame of a channel, without waiting: SQ_OK; SQ_EAGAIN: there is none, and nothing is
 * left in a buffer, so that poll() of the socket tells of more; else the connection is over, with the
 * reason in 'why'.  It is good until sq_amqp_peer_done(). */
int sq_amqp_peer_next(struct sq_amqp_peer *, amqp_frame_t *, struct sq_buf *why) SQ_MUST_CHECK;
/* Nothing of the last frames is used any more. */
void sq_amqp_peer_done(struct sq_amqp_peer *);
/* Whether the peer lets us have the second channel. */
bool sq_amqp_peer_looks(const struct sq_amqp_peer *);
/* Sends a method on the second channel; whose frames come by sq_amqp_peer_next() from then on. */
int sq_amqp_peer_look(
    struct sq_amqp_peer *, amqp_method_number_t, void *decoded, struct sq_buf *why) SQ_MUST_CHECK;
/* Sends a method on the channel. */
int sq_amqp_peer_send(
    struct sq_amqp_peer *, amqp_method_number_t, void *decoded, struct sq_buf *why) SQ_MUST_CHECK;
/* The same, then waits for its answer, 'wanted', and gives that in '*out' (NULL: not wanted), good until
 * sq_amqp_peer_done().  A channel that the peer closes instead is trouble 'of', with its words in 'why'. */
int sq_amqp_peer_ask(struct sq_amqp_peer *, amqp_method_number_t, void *decoded,
    amqp_method_number_t wanted, amqp_method_t *out, enum sq_amqp_trouble of,
    struct sq_buf *why) SQ_MUST_CHECK;
/* After the peer has closed the channel, by the method given: answers, and opens it again. */
int sq_amqp_peer_reopen(struct sq_amqp_peer *, struct sq_buf *why) SQ_MUST_CHECK;
/* Lets the peer hear of us where nothing is read for long. */
int sq_amqp_peer_beat(struct sq_amqp_peer *, struct sq_buf *why) SQ_MUST_CHECK;
/* Sets the trouble, for sq_amqp_peer_trouble(); returns SQ_ECLOSED. */
int sq_amqp_peer_fail(struct sq_amqp_peer *, enum sq_amqp_trouble);
/* Appends the words of a peer, 200 bytes of them at most. */
void sq_amqp_words(struct sq_buf *out, unsigned code, amqp_bytes_t text);

#endif
