/* The desk: settings and authorities by which the server's thread answers reviews.  Both are replaced
 * by tasks on that thread, so that no answer sees half of one. */
#ifndef SQ_K8S_INJECTOR_DESK_H
#define SQ_K8S_INJECTOR_DESK_H

#include "core/buf.h"
#include "k8s/injector/server.h"
#include "k8s/patch/settings.h"

struct sq_desk;

struct sq_desk *sq_desk_new(void);
/* After the server's end. */
void sq_desk_free(struct sq_desk **);
/* The server that calls sq_desk_answer(); before the calls below. */
void sq_desk_set_server(struct sq_desk *, struct sq_server *);

/* Replaces the settings; takes the contents of 'settings'.  Thread: any. */
void sq_desk_take_settings(struct sq_desk *, struct sq_settings *settings);
/* Replaces the bundle by a copy.  Thread: any. */
void sq_desk_take_bundle(struct sq_desk *, const struct sq_buf *bundle);

/* sq_server_cfg.answer, with the desk as its owner. */
unsigned
sq_desk_answer(void *desk, enum sq_server_path, const void *body, size_t len, struct sq_buf *out);

#endif
