#include <stdio.h>
#include <string.h>

#include "cli/view/why_rule.h"
#include "cli/view/why_things.h"
#include "core/mem.h"

enum { STATE = 1, SINCE };

static const struct sq_why_rule session_rules[] = {
    {.when = {SQ_WHEN_IS("state", "attached")},
	.says = "  {session} is attached, by link {link}, with {inflight} deliveries that are not "
		"finished",
	.one_of = STATE},
    {.when = {SQ_WHEN_IS("state", "grace"), SQ_WHEN("since", KNOWN)},
	.is = SQ_WHY_TROUBLE,
	.says = "{session} is away: its link was lost, since {since|time}; it ends {expires|time}",
	.mend =
	    "its sidecar comes back by itself, if it and the network are well: kubectl get pods -n "
	    "{space} -o wide; sqmqos links ls",
	.one_of = STATE},
    {.when = {SQ_WHEN_IS("state", "detached"), SQ_WHEN("since", KNOWN), SQ_WHEN("expires", KNOWN)},
	.is = SQ_WHY_TROUBLE,
	.says = "{session} is away: its client is not connected, since {since|time}; it ends "
		"{expires|time}",
	.one_of = STATE},
    {.when = {SQ_WHEN_IS("state", "detached"), SQ_WHEN("since", KNOWN)},
	.is = SQ_WHY_TROUBLE,
	.says = "{session} is away: its client is not connected, since {since|time}; it is kept",
	.one_of = STATE},
    {.when = {SQ_WHEN_IS("state", "detached")},
	.is = SQ_WHY_TROUBLE,
	.says = "{session} is away: its client is not connected, from before the broker's start on",
	.one_of = STATE},
    {.says = "  {session} is {state}", .one_of = STATE},
    {.when = {SQ_WHEN_IS("state", "detached")},
	.mend = "connect client {client} again, without clean start: what waits is delivered then"},
    {.when = {SQ_WHEN_IS("state", "detached")},
	.mend = "if it never comes back: sqmqos sessions rm '{session}'"},
    {.when = {SQ_WHEN_IS("state", "attached"), SQ_WHEN("pending", SOME)},
	.is = SQ_WHY_TROUBLE,
	.says = "{session} has no room: its client has not finished {inflight} deliveries, and "
		"{pending} "
		"more wait for it",
	.mend = "let the client acknowledge faster, or raise its Receive Maximum"},
};

static const struct sq_why_rule link_rules[] = {
    {.when = {SQ_WHEN("slow", TRUE)},
	.is = SQ_WHY_TROUBLE,
	.says = "link {link} of {peer}, over which {*session} is attached, is slow: "
		"{waiting|bytes} wait "
		"to be "
		"written",
	.mend = "see the sidecar's processor and network: sqmqos links show {link}"},
    {.when = {SQ_WHEN("leaving", TRUE)}, .says = "  its link {link} has been asked to move"},
};

static void
session_link(struct sq_why_told *w, const json_t *session)
{
	char number[24];
	json_t *link;

	if (!json_is_integer(json_object_get(session, "link")))
		return;
	snprintf(number, sizeof number, "%lld", sq_why_number(session, "link"));
	if ((link = sq_why_find(w, "links", NULL, "link", number)) == NULL)
		return;
	sq_why_beside(w, "session", sq_why_text(session, "session"));
	SQ_WHY_JUDGE(w, link_rules, link);
	json_decref(link);
}

void
sq_why_session(struct sq_why_told *w, const char *space, const char *name)
{
	json_t *s = sq_why_find(w, "sessions", space, "session", name);

	if (s != NULL) {
		SQ_WHY_JUDGE(w, session_rules, s);
		session_link(w, s);
	}
	json_decref(s);
}

/* ---- keepers ---- */

static const struct sq_why_rule keeper_rules[] = {
    {.when = {SQ_WHEN("takes", SOME)}, .one_of = STATE},
    {.when = {SQ_WHEN("clients", SOME)},
	.is = SQ_WHY_TROUBLE,
	.says = "pod {pod} declares it, but none of its clients is the one that takes it: "
		"connected are "
		"{clients|texts}",
	.one_of = STATE},
    {.is = SQ_WHY_TROUBLE,
	.says = "pod {pod} declares it, but none of its clients is connected",
	.mend = "see that its app runs and connects to localhost: kubectl logs -n {space} {pod}",
	.one_of = STATE},
    {.when = {SQ_WHEN("takes", ZERO), SQ_WHEN("clients", SOME)},
	.mend = "the pod's annotation sqmqos.io/client-id says who takes it: connect that client, "
		"or name "
		"another: kubectl annotate pod -n {space} {pod} --overwrite sqmqos.io/client-id=…, "
		"and the "
		"same in its workload's template"},
};

enum { CLIENTS_MAX = 10 };

struct keeper_walk {
	const char *pod, *queue;
	json_t *clients; /* of the pod */
	json_t *found;   /* the walk's row of keeper_rules */
};

static bool
keeper_client(void *arg, const json_t *row)
{
	struct keeper_walk *k = arg;

	if (strcmp(sq_why_text(row, "pod"), k->pod) == 0 &&
	    !json_is_true(json_object_get(row, "internal")) &&
	    json_array_size(k->clients) < CLIENTS_MAX)
		json_array_append_new(k->clients, json_string(sq_why_text(row, "client")));
	return true;
}

/* A subscription of the queue by one of the pod's clients: its key ends in the pod, and the keeper's
 * is another. */
static bool
keeper_takes(void *arg, const json_t *row)
{
	struct keeper_walk *k = arg;

	if (strcmp(sq_why_text(row, "queue"), k->queue) == 0 &&
	    strcmp(sq_why_text(row, "session"), sq_why_text(k->found, "keeper")) != 0)
		json_object_set_new(
		    k->found, "takes", json_integer(1 + sq_why_number(k->found, "takes")));
	return true;
}

void
sq_why_keeper(struct sq_why_told *w, const char *space, const char *keeper, const char *queue)
{
	json_t *s = sq_why_find(w, "sessions", space, "session", keeper);
	struct keeper_walk k = {sq_why_text(s, "pod"), queue, json_array(), json_object()};
	struct sq_wanted sessions = {.table = "sessions", .space = space};
	struct sq_wanted subscriptions = {.table = "subscriptions", .space = space};

	if (k.pod[0] != '\0') {
		json_object_set_new(k.found, "takes", json_integer(0));
		json_object_set_new(k.found, "keeper", json_string(keeper));
		json_object_set_new(k.found, "pod", json_string(k.pod));
		json_object_set_new(k.found, "space", json_string(space));
		(void)sq_why_rows(w, &sessions, keeper_client, &k);
		(void)sq_why_rows(w, &subscriptions, keeper_takes, &k);
		json_object_set(k.found, "clients", k.clients);
		SQ_WHY_JUDGE(w, keeper_rules, k.found);
	}
	json_decref(k.clients);
	json_decref(k.found);
	json_decref(s);
}
