/* A world for tests of named queues: on each engine, with one worker or several, and over restarts of
 * the broker; who asks for queues and who publishes in it, both in the space "s".  One at a time. */
#ifndef SQ_TEST_SUPPORT_QUEUE_WORLD_H
#define SQ_TEST_SUPPORT_QUEUE_WORLD_H

#include "fake_publish.h"
#include "fake_queue.h"
#include "stored_engine.h"

struct sq_acl;

extern struct world w;
extern struct asker api;
extern struct publisher http;

/* Runs 'fn' in each world, with rules that 'rules' makes anew for each broker. */
void queue_world_in_each(struct sq_acl *(*rules)(void), void (*fn)(void));
/* A world on the stored engine, not begun. */
void queue_world_init_stored(struct sq_acl *(*rules)(void), unsigned n_workers);
/* The same with one worker, begun. */
void queue_world_stored(struct sq_acl *(*rules)(void));
void queue_world_begin(void);
/* Stops the broker, of which nothing is left over. */
void queue_world_end(void);
void queue_world_restart(void);
/* As a crash of the broker on the stored engine, with what waits for its commit gone, and another. */
void queue_world_crash(void);
/* Whether what the engine has outlives the broker. */
bool queue_world_durable(void);

#endif
