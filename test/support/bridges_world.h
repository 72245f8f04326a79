/* A world for tests of bridges: the stored engine, bridges of the fake kind (fake_bridge.h), and who
 * publishes, in the space "s".  One at a time. */
#ifndef SQ_TEST_SUPPORT_BRIDGES_WORLD_H
#define SQ_TEST_SUPPORT_BRIDGES_WORLD_H

#include "fake_bridge.h"
#include "queue_world.h"

/* Begins it, without a bridge. */
void bridges_world_init(unsigned n_workers);
/* The same on the embedded engine, on files that end with it, with room for 'max_size' bytes, and
 * for that many messages in a queue. */
void bridges_world_init_on_files(unsigned n_workers, uint32_t queue_max, uint64_t max_size);
void bridges_world_fini(void);
/* Another broker on the same store; bridges are not set. */
void bridges_world_restart(void);

/* Has the bridges be those of the text, the body of "bridges:"; waits until they are set, and had time to
 * open.  'whole' as in sq_bridges_set(). */
void bridges_set(const char *yaml);
void bridges_set_partly(const char *yaml);
/* "  b: {space: s, kind: amqp, ... out: [{filter: t/#, ...}]}\n" with more settings, "" or "window: 5". */
const char *bridges_out(const char *name, const char *more);

/* Publishes at QoS 1, and runs. */
void bridges_publish(const char *topic, const char *payload);
/* Messages of a bridge's queue that are not done. */
uint64_t bridges_left(const char *name);

/* A call about a bridge: its answer, freed by the next one; 'how' is checked. */
const char *bridges_call(enum sq_bridge_op, const char *name, enum sq_bridge_how how);
const char *bridges_call_by(
    const struct sq_identity *, enum sq_bridge_op, const char *name, enum sq_bridge_how how);
/* The value of a line of metrics that begins with that; UINT64_MAX: there is none. */
uint64_t bridges_metric(const char *begins);

#endif
