/* The will of a session's client (MQTT 5.0 §3.1.2.5).  On the session's worker. */
#ifndef SQ_BROKER_SESSION_WILL_H
#define SQ_BROKER_SESSION_WILL_H

#include <stdint.h>

#include "core/bytes.h"
#include "core/heap.h"
#include "core/msg.h"

struct sq_session;

struct sq_will {
	struct sq_msg msg; /* a reference; no image: none */
	uint32_t delay_s;
	struct sq_heap_node timer;
};

/* Sets the will of a session without one; an empty image: there is none. */
void sq_will_set(struct sq_session *, struct sq_bytes image, uint32_t delay_s);
/* Drops the will, if there is one. */
void sq_will_drop(struct sq_session *);
/* The client is gone: has the will, if there is one, published after so many seconds. */
void sq_will_later(struct sq_session *, uint32_t after_s);
/* Publishes the will now, if there is one, and drops it. */
void sq_will_publish(struct sq_session *);

#endif
