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
	const char *pod, *workload, *queue;
	json_t *clients; /* of the pod */
	long long takes; /* of these, those that take from the queue */
};

/* A client that is in the pod, or may be: a durable session has no pod. */
static bool
keeper_client(void *arg, const json_t *row)
{
	struct keeper_walk *k = arg;
	bool there = strcmp(sq_why_text(row, "pod"), k->pod) == 0;

	if (sq_why_text(row, "pod")[0] == '\0')
		there = strcmp(sq_why_text(row, "workload"), k->workload) == 0 &&
		    strcmp(sq_why_text(row, "state"), "attached") == 0;
	if (there && !json_is_true(json_object_get(row, "internal")) &&
	    json_array_size(k->clients) < CLIENTS_MAX)
		json_array_append_new(k->clients, json_string(sq_why_text(row, "client")));
	return true;
}

/* Whether the session's key, SPACE~WORKLOAD~CLIENT or that with ~POD, is of a client that is in the
 * pod, or may be. */
static bool
keeper_has(const struct keeper_walk *k, const char *session)
{
	static const char keeper[] = "%24keeper";
	const char *client = strchr(session, '~'), *pod;

	client = client != NULL ? strchr(client + 1, '~') : NULL;
	if (client == NULL || strncmp(client + 1, keeper, sizeof keeper - 1) == 0)
		return false;
	pod = strchr(client + 1, '~');
	return pod == NULL || strcmp(pod + 1, k->pod) == 0;
}

static bool
keeper_takes(void *arg, const json_t *row)
{
	struct keeper_walk *k = arg;

	k->takes += strcmp(sq_why_text(row, "queue"), k->queue) == 0 &&
	    keeper_has(k, sq_why_text(row, "session"));
	return true;
}

static void
keeper_judge(struct sq_why_told *w, const struct keeper_walk *k, const char *space)
{
	json_t *row = json_object();

	json_object_set_new(row, "takes", json_integer(k->takes));
	json_object_set_new(row, "pod", json_string(k->pod));
	json_object_set_new(row, "space", json_string(space));
	json_object_set(row, "clients", k->clients);
	SQ_WHY_JUDGE(w, keeper_rules, row);
	json_decref(row);
}

void
sq_why_keeper(struct sq_why_told *w, const char *space, const char *keeper, const char *queue)
{
	json_t *s = sq_why_find(w, "sessions", space, "session", keeper);
	struct keeper_walk k = {.pod = sq_why_text(s, "pod"),
	    .workload = sq_why_text(s, "workload"),
	    .queue = queue,
	    .clients = json_array()};
	struct sq_buf prefix = {0};
	struct sq_wanted sessions = {.table = "sessions", .space = space};
	struct sq_wanted subscriptions = {.table = "subscriptions", .space = space};
	const char *client = strchr(keeper, '~');

	client = client != NULL ? strchr(client + 1, '~') : NULL;
	if (client != NULL && json_is_true(json_object_get(s, "internal"))) {
		sq_buf_printf(&prefix, "%.*s", (int)(client + 1 - keeper), keeper);
		sq_buf_u8(&prefix, '\0'); /* all of its workload */
		sessions.prefix = subscriptions.prefix = (const char *)sq_buf_data(&prefix);
		(void)sq_why_rows(w, &sessions, keeper_client, &k);
		(void)sq_why_rows(w, &subscriptions, keeper_takes, &k);
		keeper_judge(w, &k, space);
	}
	sq_buf_fini(&prefix);
	json_decref(k.clients);
	json_decref(s);
}
