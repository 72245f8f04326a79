/* The inner interface of sq_out.  A request's way through it, all on sq_out's thread:
 *
 *   inbox.c      sent
 *   out.c        its time: a heap of ends; how it ends
 *     names.c    waits until its host's addresses are known
 *     origins.c  waits until its origin may have one connection more
 *     transfer.c runs: an easy handle in the multi handle
 *
 * libcurl never looks a name up: it is given the addresses (CURLOPT_RESOLVE).  Nor does a request wait
 * in it for a connection: its own queue is one for all origins, and one of them that hangs at its limit
 * would hold up the others.  out.c alone sees all of these; they do not see it. */
#ifndef SQ_NET_CURL_OUT_PRIV_H
#define SQ_NET_CURL_OUT_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/heap.h"
#include "core/htab.h"
#include "net/curl/library.h"
#include "net/curl/out.h"

enum {
	SQ_OUT_HOST_MAX = 253,
	SQ_OUT_HEAD_MAX = 32768, /* bytes of an answer's headers */
};

struct sq_out_call;
struct sq_out_name;
struct sq_out_origin;
struct sq_out_owner;

enum sq_out_place {
	SQ_OUT_AT_NAME,
	SQ_OUT_AT_ORIGIN,
	SQ_OUT_RUNNING,
	SQ_OUT_ENDED,
};

struct sq_out_transfer {
	struct sq_out *out;
	struct sq_out_request *req;
	struct sq_list cancelled; /* of the inbox, under its lock */
	enum sq_out_place place;
	struct sq_heap_node due;
	uint64_t sent_us, until_ms;
	uint64_t connect_ms; /* for name, connection and TLS */
	uint64_t named_ms;   /* how long it has waited for its name */
	bool https, proxied;
	uint16_t port;
	char host[SQ_OUT_HOST_MAX +
	    1];                   /* in lower case, as the URL spells it, a last dot included */
	struct sq_out_name *name; /* NULL: its host is an address */
	struct sq_out_origin *origin;
	struct sq_out_owner *owner; /* with 'origin'; NULL: nobody's */
	struct sq_out_call *call;   /* while it runs */
};

struct sq_out_names {
	struct sq_htab all;
	struct sq_list queued; /* names that wait for a lookup */
	struct sq_list flying; /* lookups */
	unsigned n_flying;
	struct sq_out_name *none; /* of hosts that are addresses: their connections */
};

struct sq_out_origins {
	struct sq_htab all;
	struct sq_htab owners;
	struct sq_list ready;   /* have requests that wait, and room for one */
	struct sq_list blocked; /* would be, but each of these is an owner's who has his share */
	unsigned running;       /* of all */
};

struct sq_out_calls {
	struct sq_list idle;
	unsigned n_idle;
	char *ca_file; /* the system's */
};

/* Where connections lead that are not ours to choose. */
struct sq_out_proxy {
	char *url; /* NULL: none */
	char host[SQ_OUT_HOST_MAX + 1];
	uint16_t port;
};

/* What other threads leave for that of sq_out. */
struct sq_out_inbox {
	pthread_mutex_t lock; /* of all of it */
	struct sq_list sent;  /* requests */
	struct sq_list cancelled;
	struct sq_list looked; /* lookups that have ended */
	bool asleep, stopped;
	bool closed;   /* the thread has ended */
	unsigned refs; /* the user's, and one for each lookup */
};

struct sq_out {
	const struct sq_curl *curl;
	char *user_agent;
	struct sq_out_proxy proxy;
	unsigned per_origin, total, lookups, rest_ms;
	pthread_t thread;
	struct sq_out_names names;
	struct sq_out_origins origins;
	struct sq_out_calls calls;
	struct sq_htab sockets;
	struct sq_heap dues;
	struct sq_list ended; /* requests to be handed back */
	uint64_t rested_ms;   /* since when nothing has been out; 0: something is */
	bool begun;           /* a transfer that libcurl has not seen yet */
	atomic_uint n_requests, n_connections, n_lookups;
	CURLM *multi; /* set under the lock; used by the thread without */
	struct sq_out_inbox in;
};

/* inbox.c */
void sq_out_inbox_init(struct sq_out *);
/* Wakes the thread, under the lock. */
void sq_out_wake(struct sq_out *);
/* Gives up one of 'refs'; the last one frees the memory. */
void sq_out_unref(struct sq_out *);

/* names.c */
void sq_out_names_init(struct sq_out *);
/* True: the addresses of its host are known, or it is one.  False: it waits. */
bool sq_out_names_enter(struct sq_out_transfer *);
/* The request no longer waits for its name, or needs it. */
void sq_out_names_leave(struct sq_out_transfer *);
/* Takes up what lookups have found, and calls 'answered' for each request that has waited for it; 'why'
 * NULL: the addresses are known. */
void sq_out_names_answer(struct sq_out *, struct sq_list *looked,
    void (*answered)(struct sq_out_transfer *, const char *why));
/* Whether its lookup is under way; else those who wait for it wait for others' to end. */
bool sq_out_name_looking(const struct sq_out_name *);
/* There was no connection: the addresses are in doubt. */
void sq_out_name_doubt(struct sq_out_name *);
/* A socket has been opened, or closed. */
void sq_out_name_connected(struct sq_out_name *, int by);
/* Writes what libcurl must be told of the addresses ("+host:port:address,...", NUL-terminated, one or
 * two of them); nothing: it knows. */
void sq_out_name_resolve(const struct sq_out_transfer *, struct sq_buf *out);
/* libcurl has taken that up. */
void sq_out_name_resolved(const struct sq_out_transfer *);
/* The multi handle is another one, which knows nothing.  Nothing is out. */
void sq_out_names_forget(struct sq_out *);
/* Lookups that are under way are no longer in a list: once 'closed' is said, they free themselves. */
void sq_out_names_part(struct sq_out *);
void sq_out_names_fini(struct sq_out *);

/* sockets.c */
void sq_out_socket_opened(struct sq_out *, int fd, struct sq_out_name *);
/* libcurl says so. */
void sq_out_socket_closed(struct sq_out *, int fd);
/* Looks whether one has been closed. */
void sq_out_socket_check(struct sq_out *, int fd);
/* All have been closed. */
void sq_out_sockets_clear(struct sq_out *);

/* origins.c */
void sq_out_origins_init(struct sq_out *);
/* The request waits for its turn. */
void sq_out_origins_enter(struct sq_out_transfer *);
/* The request, at its origin or running, goes. */
void sq_out_origins_leave(struct sq_out_transfer *);
/* A connection has been made: whether its requests share it.  Within libcurl's callbacks. */
void sq_out_origin_shares(struct sq_out_origin *, bool shares);
/* The next request whose turn it is, as one that runs; NULL: none. */
struct sq_out_transfer *sq_out_origins_next(struct sq_out *);
void sq_out_origins_fini(struct sq_out *);

/* transfer.c */
/* SQ_EIO with a line in 'err': libcurl can't be set up. */
int sq_out_calls_init(struct sq_out *, struct sq_buf *err) SQ_MUST_CHECK;
void sq_out_calls_fini(struct sq_out *);
/* Hands it to libcurl; false with a reason in req->why: it can't be sent. */
bool sq_out_call_start(struct sq_out_transfer *) SQ_MUST_CHECK;
/* Takes it from libcurl. */
void sq_out_call_stop(struct sq_out_transfer *);
/* What libcurl has ended, and how; its request has status and reason.  NULL: it goes on, on another
 * connection. */
struct sq_out_transfer *
sq_out_call_ended(struct sq_out *, CURL *easy, CURLcode result, enum sq_out_end *);

#endif
