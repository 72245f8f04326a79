/* What why says of tables that are given as JSON. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "../../cli/view/why.h"
#include "core/err.h"

static bool
canned_is(const json_t *row, const char *column, const char *text)
{
	const char *value = json_string_value(json_object_get(row, column));

	return value != NULL && strcmp(value, text) == 0;
}

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
		if (w->queue != NULL && !canned_is(row, "queue", w->queue))
			continue;
		/* Tables whose name is a key, or an origin. */
		if (w->name != NULL && json_object_get(row, "key") != NULL &&
		    !canned_is(row, "key", w->name) && !canned_is(row, "origin", w->name))
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

#define BINDING(members) \
	"{\"subscriptions\": [], \"bindings\": [" \
	"{\"queue\": \"queue~shop~q\", \"space\": \"shop\", \"id\": \"a/+\", \"filter\": " \
	"\"a/+\", " \
	"\"qos\": 2}, {\"queue\": \"queue~shop~t\", \"space\": \"shop\", \"id\": \"tagged\", " \
	"\"tag\": \"eu\", \"qos\": 1}], \"queues\": [{\"queue\": \"queue~shop~q\", \"space\": " \
	"\"shop\", \"kind\": \"queue\", " \
	"\"depth\": 3, \"bytes\": 9, \"max_messages\": 3, \"max_bytes\": 9, \"full\": true, " \
	"\"overflow\": \"reject-publish\", \"durable\": true, \"lonely\": 5000, " \
	"\"members\": " members "}]}"

Test(cli_why, a_named_queue_takes_by_its_bindings)
{
	static const char *const refuses = "of 9 B: publishes to it are refused";

	SAYS(BINDING("0"), SQ_FOUND, ASK(.topic = "a/1", .space = "shop"),
	    "  named queue queue~shop~q takes it by its binding a/+, at QoS 2 at most", refuses,
	    "raise its max-messages", "! nobody pulls from queue queue~shop~q, or has joined it");
	SAYS(BINDING("0, \"paused\": true, \"parked\": 2"), SQ_FOUND,
	    ASK(.topic = "a/1", .space = "shop"),
	    "  2 more have failed, and wait for another attempt",
	    "! queue queue~shop~q is paused: nothing of it is handed out",
	    "sqmqos subscribers resume");
	SAYS(BINDING("1"), SQ_FOUND, ASK(.topic = "b", .tag = "eu"),
	    "  named queue queue~shop~t takes it by its binding tagged, at QoS 1 at most");
	SAYS(BINDING("1"), SQ_FOUND_NONE, ASK(.topic = "b", .space = "shop"),
	    "queue~shop~t takes the topic by #, but only messages with the tag eu");
	SAYS(BINDING("1"), SQ_FOUND_NONE, ASK(.topic = "a/1", .space = "x"),
	    "in space shop, queue~shop~q takes it by a/+");
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

Test(cli_why, who_was_refused_and_by_what)
{
	SAYS(
	    "{\"subscriptions\": [], \"refusals\": ["
	    "{\"space\": \"shop\", \"who\": \"shop~w~app\", \"kind\": \"publish\", \"topic\": "
	    "\"a/b\", "
	    "\"reason\": \"denied\", \"identity\": \"kube:shop/till\", \"text\": \"acl[3] denies "
	    "it\", "
	    "\"code\": 135, \"count\": 1, \"first\": 1, \"last\": 1},"
	    "{\"space\": \"shop\", \"who\": \"shop~w~sub\", \"kind\": \"subscription\", \"topic\": "
	    "\"$share/g/a/#\", \"reason\": \"quota\", \"text\": \"as many as it may\", \"code\": "
	    "151, "
	    "\"count\": 4, \"last\": 1},"
	    "{\"space\": \"shop\", \"who\": \"shop\", \"kind\": \"publish\", \"topic\": \"a/b\", "
	    "\"reason\": \"property\", \"identity\": \"token:fn\", \"text\": \"its key\", "
	    "\"code\": 131, \"count\": 1, \"last\": 1},"
	    "{\"space\": \"shop\", \"who\": \"shop~w~late~pod\", \"kind\": \"attach\", \"reason\": "
	    "\"denied\", \"text\": \"another's\", \"code\": 403, \"count\": 2, \"last\": 1},"
	    "{\"space\": \"shop\", \"who\": \"shop~w~app\", \"kind\": \"publish\", \"topic\": "
	    "\"other\", "
	    "\"reason\": \"denied\", \"code\": 135, \"count\": 1, \"last\": 1}]}",
	    SQ_FOUND_NONE, ASK(.topic = "a/b"),
	    "! shop~w~app was refused a publish to a/b with 0x87, once, the last ",
	    "acl[3] denies it\n  -> let a rule of the broker's acl allow it: sqmqos-broker "
	    "--config "
	    "FILE --explain-acl kube:shop/till",
	    "! token:fn was refused a publish to a/b with 0x83, once, the last ",
	    "its key\n  -> correct the message's user property, or over HTTP its header",
	    "! shop~w~sub was refused a subscription to $share/g/a/# with 0x97, 4 times",
	    "-> see what the space may have: sqmqos spaces show shop");
}

/* What is not said. */
static void
omits(const char *view, struct sq_why_ask ask, const char *word)
{
	json_t *tables = json_loads(view, 0, NULL);
	struct sq_tables canned = {canned_rows, canned_table, tables};
	struct sq_buf out = {0}, err = {0};

	cr_assert_not_null(tables);
	(void)sq_why(&canned, &ask, &out, &err);
	sq_buf_u8(&out, 0);
	cr_assert_null(
	    strstr((const char *)sq_buf_data(&out), word), "%s: %s", word, sq_buf_data(&out));
	sq_buf_fini(&out);
	sq_buf_fini(&err);
	json_decref(tables);
}

Test(cli_why, a_session_that_is_refused_is_its_clients_affair)
{
	static const char view[] = "{\"subscriptions\": [], \"sessions\": [], \"refusals\": "
				   "[{\"space\": \"shop\", \"who\": "
				   "\"shop~w~late~pod\", \"kind\": \"attach\", \"reason\": "
				   "\"denied\", \"text\": \"another's\", "
				   "\"code\": 403, \"count\": 2, \"last\": 1}]}";

	SAYS(view, SQ_FOUND_NONE, ASK(.topic = "a", .client = "late"),
	    "! shop~w~late~pod was refused its session with HTTP 403, 2 times");
	omits(view, (struct sq_why_ask){.topic = "a", .client = "lat"}, "was refused its session");
	omits(view, (struct sq_why_ask){.topic = "a"}, "was refused its session");
}

Test(cli_why, one_message_in_its_queue_with_a_client_and_lost)
{
	static const char view[] =
	    "{\"keys\": [{\"key\": \"k\", \"space\": \"shop\", \"since\": 1, \"expires\": "
	    "99999999999999}],"
	    "\"messages\": [{\"queue\": \"q\", \"space\": \"shop\", \"number\": 1, \"key\": \"x\"},"
	    "{\"queue\": \"q\", \"space\": \"shop\", \"number\": 4, \"key\": \"k\", \"topic\": "
	    "\"t\", \"qos\": "
	    "2, \"bytes\": 90, \"age\": 2000, \"attempts\": 2, \"expires\": 5, \"origin\": "
	    "\"ab.1.41\"}],"
	    "\"deliveries\": [{\"session\": \"s\", \"space\": \"shop\", \"packet\": 7, \"queue\": "
	    "\"q\", "
	    "\"state\": \"sent\", \"key\": \"k\", \"origin\": \"ab.1.41\"}],"
	    "\"sessions\": [{\"session\": \"p\", \"space\": \"shop\", \"incarnation\": \"ab\"}],"
	    "\"gone\": [{\"space\": \"shop\", \"queue\": \"r\", \"topic\": \"t\", \"why\": "
	    "\"attempts\", "
	    "\"key\": \"k\", \"attempts\": 5, \"at\": 1}],"
	    "\"dead-letters\": [{\"queue\": \"dead~shop\", \"letter\": 3, \"space\": \"shop\", "
	    "\"key\": "
	    "\"k\", \"from\": \"r\", \"cause\": \"attempts\", \"died\": \"then\"}], \"queues\": "
	    "[]}";

	SAYS(view, SQ_FOUND, ASK(.message = "k"), "  its key is known in space shop",
	    "  it waits in queue q: topic t, QoS 2, 90 B, for 2s, behind 1 others\n",
	    "! it has been tried 2 times", "! its time was over ",
	    "! s has it from queue q, as packet 7, and has not acknowledged it",
	    "  p published it, as number 41\n", "! a message to t left queue r undelivered, ",
	    ": attempts, after 5 attempts\n    it had the key k",
	    "! it is dead letter 3 of dead~shop, from queue r, since then: attempts\n",
	    "sqmqos dead-letters redrive 'dead~shop' --letter 3");
	SAYS(view, SQ_FOUND, ASK(.message = "ab.1.41"), "  it waits in queue q: topic t",
	    "  p published it");
	SAYS(view, SQ_FOUND_NONE, ASK(.message = "z"),
	    "! no message with the key or origin z waits", "-> see whether it was refused");
	SAYS("{\"keys\": [{\"key\": \"k\", \"space\": \"shop\", \"since\": 1, \"expires\": 5}], "
	     "\"messages\": []}",
	    SQ_FOUND, ASK(.message = "k"), "  it waits in no queue, no client has it open",
	    "it is leased over HTTP");
	SAYS("{}", SQ_FOUND_ERROR, ASK(.message = "k"), "");
}

Test(cli_why, a_pod_whose_clients_are_others)
{
#define DECLARED(session, queue) \
	"{\"session\": \"" session "\", \"space\": \"shop\", \"filter\": \"a\", \"kind\": " \
	"\"declared\", \"queue\": \"" queue "\", \"qos\": 1}"
#define SESSIONS \
	"\"sessions\": [{\"session\": \"shop~w~%24keeper~p\", \"space\": \"shop\", \"pod\": " \
	"\"p\", " \
	"\"internal\": true, \"client\": \"$keeper\", \"state\": \"attached\"}, {\"session\": " \
	"\"shop~w~c~p\", \"space\": \"shop\", \"pod\": \"p\", \"internal\": false, \"client\": " \
	"\"other\", \"state\": \"attached\"}]"
	static const char takes[] = "{\"subscriptions\": [" DECLARED(
	    "shop~w~%24keeper~p", "q") ", " DECLARED("shop~w~c~p", "q") "], " SESSIONS "}";

	SAYS("{\"subscriptions\": [" DECLARED("shop~w~%24keeper~p", "q") "], " SESSIONS "}",
	    SQ_FOUND, ASK(.topic = "a"),
	    "! pod p declares it, but none of its clients is the one that takes it: connected are "
	    "other\n",
	    "kubectl annotate pod -n shop p --overwrite sqmqos.io/client-id=");
	omits(takes, (struct sq_why_ask){.topic = "a"}, "none of its clients");
	/* A keeper, and a client, of another pod are none of this one's; a durable one may be. */
	SAYS("{\"subscriptions\": [" DECLARED("shop~w~%24keeper~p", "q") ", " DECLARED(
		 "shop~w~%24keeper~r", "q") ", " DECLARED("shop~w~c~r", "q") "], " SESSIONS "}",
	    SQ_FOUND, ASK(.topic = "a"), "! pod p declares it, but none of its clients");
	omits("{\"subscriptions\": [" DECLARED("shop~w~%24keeper~p", "q") ", " DECLARED(
		  "shop~w~c", "q") "], " SESSIONS "}",
	    (struct sq_why_ask){.topic = "a"}, "none of its clients");
}

Test(cli_why, a_store_that_commits_nothing_while_messages_wait_for_it)
{
#define STORE(more) \
	"{\"subscriptions\": [" SUBSCRIPTION("a", \
	    "s") "], \"queues\": [{\"queue\": \"s\", " \
		 "\"space\": \"shop\", \"kind\": \"session\", \"depth\": 0, \"coming\": 2}], " \
		 "\"store\": [{\"engine\": \"embedded\", \"durable\": true, \"commits\": 5, " more \
		 "}]}"
	SAYS(STORE("\"stalled\": false"), SQ_FOUND, ASK(.topic = "a"),
	    "    2 more wait for their commit",
	    "! the store stalls: 2 messages wait for their commit, and nothing was committed "
	    "within "
	    "a second",
	    "-> see the broker's log and its volume");
	omits(STORE("\"stalled\": true"), (struct sq_why_ask){.topic = "a"}, "within a second");
}

Test(cli_why, what_must_be_asked)
{
	const char *why;

	cr_assert(!sq_why_good(&(struct sq_why_ask){.space = "s"}, &why));
	cr_assert(!sq_why_good(&(struct sq_why_ask){.message = "k", .tag = "t"}, &why));
	cr_assert(!sq_why_good(&(struct sq_why_ask){.topic = "a/#"}, &why));
	cr_assert(
	    sq_why_good(&(struct sq_why_ask){.topic = "a", .key = "k", .message = "k"}, &why));
}
