/* What why says of tables that are given as JSON. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "../../cli/view/why.h"
#include "core/err.h"

/* A view that is one document: a member for each table. */
static int
canned_rows(void *owner, const struct sq_wanted *w, bool (*each)(void *, const json_t *), void *arg,
    struct sq_buf *err)
{
	const json_t *rows = json_object_get(owner, w->table), *row;
	size_t i;

	if (rows == NULL) {
		sq_buf_printf(err, "no table %s", w->table);
		return SQ_EDENIED;
	}
	json_array_foreach(rows, i, row)
	{
		const char *space = json_string_value(json_object_get(row, "space"));

		if (w->space != NULL && (space == NULL || strcmp(space, w->space) != 0))
			continue;
		if (!each(arg, row))
			break;
	}
	return 0;
}

static const json_t *
canned_table(void *owner, const char *name, struct sq_buf *err)
{
	(void)owner;
	(void)name;
	(void)err;
	return NULL;
}

/* Asks, and looks for each of the texts, up to NULL, in what is said. */
static void
says(const char *view, struct sq_why_ask ask, enum sq_found found, const char *const *words)
{
	json_error_t where;
	json_t *tables = json_loads(view, 0, &where);
	struct sq_tables canned = {canned_rows, canned_table, tables};
	struct sq_buf out = {0}, err = {0};

	cr_assert_not_null(tables, "%s", where.text);
	cr_assert_eq(sq_why(&canned, &ask, &out, &err), found);
	sq_buf_u8(&out, 0);
	for (; *words != NULL; words++)
		cr_assert_not_null(strstr((const char *)sq_buf_data(&out), *words), "%s: %s",
		    *words, sq_buf_data(&out));
	sq_buf_fini(&out);
	sq_buf_fini(&err);
	json_decref(tables);
}

#define SAYS(view, found, ask, ...) \
	says(view, (struct sq_why_ask)ask, found, (const char *const[]){__VA_ARGS__, NULL})
#define ASK(...) \
	{ \
		__VA_ARGS__ \
	}

#define SUBSCRIPTION(filter, queue) \
	"{\"session\": \"s\", \"space\": \"shop\", \"filter\": \"" filter \
	"\", \"queue\": \"" queue "\", \"qos\": 1}"

Test(cli_why, a_queue_that_is_full_and_has_refused)
{
	SAYS("{\"subscriptions\": [" SUBSCRIPTION(
		 "a/#", "q") "], \"queues\": [{\"queue\": \"q\", "
			     "\"space\": \"shop\", \"kind\": \"declared\", \"depth\": 7, "
			     "\"bytes\": 2048, \"age\": "
			     "61000, \"members\": 0, \"lonely\": 5000, \"max_messages\": 7, "
			     "\"max_bytes\": 4096, "
			     "\"overflow\": \"reject-publish\", \"full\": true, \"refused\": "
			     "{\"queue-full\": 3}, \"left\": {\"expired\": 2}}]}",
	    SQ_FOUND, ASK(.topic = "a"),
	    "7 messages wait in it, in front of the next one, 2.0 KiB, "
	    "the oldest for 1m 1s",
	    "! queue q is full, 7 of 7 messages, 2.0 KiB of 4.0 KiB: publishes to it are refused",
	    "max-length", "! nobody is there to take from queue q, for 5s",
	    "kubectl get pods -n shop", "! queue q has refused messages: queue-full 3",
	    "! messages left queue q undelivered: expired 2");
}

Test(cli_why, a_client_without_room_on_a_slow_link)
{
	SAYS("{\"subscriptions\": [" SUBSCRIPTION(
		 "+", "s") "], \"queues\": [], \"sessions\": "
			   "[{\"session\": \"s\", \"space\": \"shop\", \"client\": \"c\", "
			   "\"state\": \"attached\", "
			   "\"link\": 4, \"inflight\": 20, \"pending\": 5}], \"links\": "
			   "[{\"link\": 3, \"slow\": "
			   "false}, {\"link\": 4, \"peer\": \"10.0.0.1:5\", \"slow\": true, "
			   "\"waiting\": 1024}]}",
	    SQ_FOUND, ASK(.topic = "a", .client = "c"),
	    "! s has no room: its client has not finished 20 deliveries, and 5 more wait",
	    "! link 4 of 10.0.0.1:5, over which s is attached, is slow: 1.0 KiB wait");
}

Test(cli_why, the_broker_as_a_whole)
{
	SAYS("{\"subscriptions\": [" SUBSCRIPTION("#",
		 "s") "], \"spaces\": [{\"space\": \"shop\", "
		      "\"full\": [\"stored_bytes\"]}], \"store\": [{\"engine\": \"embedded\", "
		      "\"healthy\": "
		      "false, \"why\": \"no space left\", \"full\": true, \"stalled\": false}]}",
	    SQ_FOUND, ASK(.topic = "a"), "! space shop may have no more: stored_bytes",
	    "! the store is not healthy: no space left", "! the store is full");
}

Test(cli_why, wildcards_do_not_take_what_begins_with_a_dollar)
{
	SAYS("{\"subscriptions\": [" SUBSCRIPTION("#", "s") "], \"queues\": []}", SQ_FOUND_NONE,
	    ASK(.topic = "$own/a"), "! nothing takes it\n");
	SAYS("{\"subscriptions\": [" SUBSCRIPTION("$share/g/a/#", "g") "]}", SQ_FOUND,
	    ASK(.topic = "a"), "s takes it by $share/g/a/#", "nothing that the view tells stands");
}

Test(cli_why, what_is_not_told_is_left_out_and_controls_are_escaped)
{
	SAYS("{\"subscriptions\": [{\"session\": \"\\u001b[31m\", \"space\": \"x\", \"filter\": "
	     "\"a\", "
	     "\"queue\": \"q\\n! b\"}]}",
	    SQ_FOUND, ASK(.topic = "a"), "\\u001b[31m takes it by a", "queue q\\u000a! b\n",
	    "nothing that the view tells");
	SAYS("{\"subscriptions\": [], \"queues\": [{\"queue\": \"left\", \"expires\": 5}]}",
	    SQ_FOUND_NONE, ASK(.topic = "a"), "queue left is kept without a subscription");
	SAYS("{}", SQ_FOUND_ERROR, ASK(.topic = "a"), "");
}
