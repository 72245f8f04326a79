/* The parts of the program, for the files of this folder. */
#ifndef SQ_BROKER_PROGRAM_MAIN_PRIV_H
#define SQ_BROKER_PROGRAM_MAIN_PRIV_H

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "broker/config/config.h"
#include "broker/deed/gate.h"
#include "broker/port/front.h"
#include "core/reload.h"

struct sq_admin_pages;

enum {
	SQ_MAIN_FRONTS = 2,
	SQ_MAIN_PAGES = 3, /* folders whose pages at the admin endpoint are for who may */
};

enum sq_main_service {
	SQ_MAIN_LINK,
	SQ_MAIN_HTTP, /* NULL where it is off */
	SQ_MAIN_SERVICES,
};

/* The program's slot on a worker, which ticks parts without sockets. */
struct sq_main_ticker;

/* What answers at the admin endpoint. */
struct sq_main_admin {
	struct sq_admin *server;
	const struct sq_admin_pages
	    *list[SQ_MAIN_PAGES + 2]; /* with the console's; NULL behind the last */
	struct sq_onward *onward;     /* NULL: the log is local */
	struct sq_callers *callers;
	struct sq_pages *pages[SQ_MAIN_PAGES];
};

/* Folders of files that declare something. */
struct sq_main_dirs {
	struct sq_queue_dir *queues;
	struct sq_bridge_live *bridges;
};

struct sq_main {
	struct sq_broker_config *config;
	struct sq_config_live *live;
	struct sq_deed_gate redrives; /* all who have dead letters published again */
	struct sq_main_dirs dirs;
	struct sq_push_live *push;
	struct sq_reload reload;
	struct sq_crew *crew;
	struct sq_main_ticker *tickers; /* one per worker, once the broker is there */
	struct sq_auth *auth;
	struct sq_main_shared *shared; /* the log of several brokers; NULL: it is local */
	struct sq_engine *engine;      /* while it follows; then the broker's */
	struct sq_broker *broker;
	bool changed; /* the configuration, since the broker's was made of it */
	struct sq_front *fronts[SQ_MAIN_FRONTS];
	struct sq_service *services[SQ_MAIN_SERVICES]; /* the fronts' */
	struct sq_main_admin admin;
	struct sq_exporter *exporter;    /* of spans; NULL: none */
	_Atomic bool ticking, listening; /* listening: it serves */
	struct sq_stop *stop;
	struct sq_notify *notify;      /* the main thread's */
	sem_t told;                    /* of one of these */
	_Atomic bool end, move, again; /* end: it drains, and ends */
};

/* The doors: that of listen.address, which is named in the log, and one of the API alone if it has an
 * address of its own.  False with a line in 'err'. */
bool sq_main_open_fronts(struct sq_main *, struct sq_buf *err);
/* Has each front do that; those that were opened, when not all could be. */
void sq_main_each_front(const struct sq_main *, void (*what)(struct sq_front *));
bool sq_main_fronts_idle(const struct sq_main *);

/* The admin endpoint with what answers there, if the configuration has one; false with a line in 'err'. */
bool sq_main_start_admin(struct sq_main *, struct sq_buf *err);
void sq_main_stop_admin(struct sq_main *);
/* What /readyz and /livez say.  Thread: any. */
bool sq_main_ready(struct sq_main *, struct sq_buf *why);
bool sq_main_live(const struct sq_main *, struct sq_buf *why);

/* Sets the limit of memory; "auto" is what the system gives now. */
void sq_main_memory(const struct sq_broker_config *);
/* Takes up changes of the configuration that count while the broker runs; 'asked': of what there is,
 * changed or not.  Whether it was taken. */
bool sq_main_look(struct sq_main *, bool asked);

#endif
