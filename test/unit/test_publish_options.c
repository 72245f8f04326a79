/* What a message asks for by user properties, and how a slip is told. */
#include <string.h>

#include "../support/broker_world.h"
#include "broker/publish/options.h"
#include "proto/mqtt/props.h"

#define PROPS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Reads the properties of a message of this QoS; returns what is explained, "": nothing. */
static const char *
asked(struct sq_publish_options *a, unsigned qos, const char *const *props)
{
	static char out[512];
	struct sq_buf raw = {0}, why = {0};
	struct sq_msg m;
	bool good;

	for (; *props != NULL; props += 2)
		cr_assert_eq(sq_mqtt_user_append(&raw, text(props[0]), text(props[1])), 0);
	m = sq_msg_new(qos, false, text("t"), sq_buf_bytes(&raw), SQ_MSG_NO_EXPIRY, text("x"));
	good = sq_publish_options_parse(m.image, a);
	cr_assert_eq(good, a->wrong == SQ_PUBLISH_GOOD);
	sq_publish_options_explain(a, &why);
	cr_assert_lt(sq_buf_len(&why), sizeof out);
	memcpy(out, sq_buf_len(&why) > 0 ? (const char *)sq_buf_data(&why) : "", sq_buf_len(&why));
	out[sq_buf_len(&why)] = '\0';
	sq_msg_unref(&m);
	sq_buf_fini(&raw);
	sq_buf_fini(&why);
	return out;
}

Test(publish_options, a_key_means_qos_3)
{
	struct sq_publish_options a;

	cr_expect_str_eq(asked(&a, 2, PROPS("sqmqos-key", "k")), "");
	cr_expect(a.assured);
	cr_expect_str_eq(asked(&a, 2, PROPS("sqmqos-qos", "3")), "");
	cr_expect(a.assured);
	cr_expect_str_eq(asked(&a, 2, PROPS("mine", "sqmqos-key", "sqmqosish", "x")), "");
	cr_expect_not(a.assured);
	for (unsigned qos = 0; qos < 2; qos++) {
		cr_expect_str_eq(asked(&a, qos, PROPS("sqmqos-key", "k")),
		    "sqmqos-key is for QoS 3 and needs a publish of QoS 2");
		cr_expect_not(a.assured);
		cr_expect_str_eq(asked(&a, qos, PROPS("sqmqos-qos", "3", "sqmqos-key", "k")),
		    "sqmqos-qos: 3 needs a publish of QoS 2");
	}
}

Test(publish_options, each_slip_has_its_words)
{
	struct sq_publish_options a;

	cr_expect_str_eq(
	    asked(&a, 2, PROPS("sqmqos-qos", "2", "sqmqos-key", "k")), "sqmqos-qos can be 3 only");
	cr_expect_not(a.assured);
	cr_expect_str_eq(
	    asked(&a, 2, PROPS("sqmqos-key", "")), "sqmqos-key must have 1 to 256 bytes");
	cr_expect_str_eq(asked(&a, 0, PROPS("sqmqos-delay", "1s")),
	    "sqmqos-delay must be a number of seconds, at most 999999999");
	cr_expect_str_eq(asked(&a, 2, PROPS("sqmqos-qos", "3", "sqmqos-receipt", "a/#")),
	    "sqmqos-receipt must be a topic, without wildcards and not below $dead, $SYS, $share, "
	    "$tag and $queue");
	cr_expect(strstr(asked(&a, 2, PROPS("sqmqos-qos", "3", "sqmqos-receipt", "$SYS/x")),
		      "sqmqos-receipt must be a topic") != NULL);
}

Test(publish_options, an_order_key_is_of_any_qos_and_bounded)
{
	char most[258];
	struct sq_publish_options a;

	memset(most, 'k', sizeof most);
	most[257] = '\0';
	for (unsigned qos = 0; qos < 3; qos++) {
		cr_expect_str_eq(asked(&a, qos, PROPS("sqmqos-order-key", most + 1)), "");
		cr_expect(!a.assured && a.unknown.len == 0);
		cr_expect_str_eq(asked(&a, qos, PROPS("sqmqos-order-key", most)),
		    "sqmqos-order-key must have 1 to 256 bytes");
		cr_expect_str_eq(asked(&a, qos, PROPS("sqmqos-order-key", "")),
		    "sqmqos-order-key must have 1 to 256 bytes");
	}
}

Test(publish_options, an_unknown_name_comes_with_the_nearest_one)
{
	struct sq_publish_options a;

	cr_expect_str_eq(asked(&a, 1, PROPS("sqmqos-dealy", "3")),
	    "unknown user property sqmqos-dealy, did you mean sqmqos-delay?");
	cr_expect_str_eq(asked(&a, 0, PROPS("mine", "1", "sqmqos-keys", "3", "sqmqos-zzz", "")),
	    "unknown user property sqmqos-keys, did you mean sqmqos-key?");
	cr_expect_str_eq(asked(&a, 0, PROPS("sqmqos-ttl", "3")),
	    "unknown user property sqmqos-ttl, known are sqmqos-qos, sqmqos-key, sqmqos-delay, "
	    "sqmqos-receipt, sqmqos-order-key");
	cr_expect(strncmp(asked(&a, 0, PROPS("sqmqos-", "3")), "unknown", 7) == 0);
	cr_expect_str_eq(asked(&a, 2, PROPS("sqmqos-key\n\xc3\xa9\x7f", "3")),
	    "unknown user property sqmqos-key????, known are sqmqos-qos, sqmqos-key, "
	    "sqmqos-delay, sqmqos-receipt, sqmqos-order-key");
}

Test(publish_options, a_long_name_is_cut)
{
	char name[300];
	struct sq_publish_options a;

	memset(name, 'n', sizeof name);
	memcpy(name, "sqmqos-", 7);
	name[299] = '\0';
	cr_expect_leq(strlen(asked(&a, 0, PROPS(name, "v"))), 200u);
}

Test(publish_options, the_brokers_own_names_ask_for_nothing)
{
	struct sq_publish_options a;

	cr_expect_str_eq(asked(&a, 0,
			     PROPS("sqmqos-dead-reason", "r", "sqmqos-dead-time", "t",
				 "sqmqos-dead-queue", "q", "sqmqos-dead-detail", "d",
				 "sqmqos-target", "t", "sqmqos-outcome", "o", "sqmqos-time", "t")),
	    "");
	cr_expect_not(a.assured);
	cr_expect_eq(a.unknown.len, 0u);
}

/* At the broker. */

static struct world w;
static struct peer pub, sub;

static void
begin(bool take_unknown)
{
	world_init(&w);
	w.cfg.unknown_properties = take_unknown;
	world_start(&w, 1);
	pub = peer_new(&w, "s~w~publisher~pod");
	sub = peer_new(&w, "s~w~subscriber~pod");
	peer_connect(&pub);
	peer_connect(&sub);
	cr_assert_eq(peer_subscribe(&sub, "t", 2), 2);
}

static uint8_t
send_props(const char *payload, uint8_t qos, const char *const *props)
{
	static uint16_t id;
	struct entry e = {.topic = "t", .payload = payload, .qos = qos, .props = props};

	e.id = qos == 2 ? ++id : 0;
	return peer_send(&pub, &e);
}

Test(publish_options, an_unknown_name_is_refused_at_every_qos)
{
	begin(false);
	for (uint8_t qos = 0; qos <= 2; qos++)
		cr_expect_eq(send_props("x", qos, PROPS("sqmqos-dealy", "5")), 0x83);
	cr_expect_eq(send_props("x", 0, PROPS("sqmqos-key", "k")), 0x83);
	cr_expect_eq(send_props("x", 1, PROPS("sqmqos-key", "k")), 0x83);
	peer_expect_nothing(&sub);
	cr_expect_eq(world_metric(SQ_M_REFUSED), 5);
	cr_expect_eq(world_metric(SQ_M_UNKNOWN_PROPERTIES), 0);
	world_stop(&w);
}

Test(publish_options, an_unknown_name_is_taken_and_counted_where_it_may)
{
	begin(true);
	cr_expect_eq(send_props("x", 1, PROPS("sqmqos-dealy", "5")), 0);
	peer_expect(&sub, "x");
	cr_expect_eq(world_metric(SQ_M_UNKNOWN_PROPERTIES), 1);
	cr_expect_eq(world_metric(SQ_M_REFUSED), 0);
	cr_expect_eq(send_props("x", 1, PROPS("sqmqos-dealy", "5", "sqmqos-qos", "9")), 0x83,
	    "a bad value of a known one can't be had");
	world_stop(&w);
}

Test(publish_options, a_key_alone_is_stored_once)
{
	begin(false);
	cr_expect_eq(send_props("one", 2, PROPS("sqmqos-key", "k")), 0);
	cr_expect_eq(send_props("copy", 2, PROPS("sqmqos-key", "k")), 0);
	cr_expect_eq(send_props("copy", 2, PROPS("sqmqos-key", "k", "sqmqos-qos", "3")), 0);
	cr_expect_eq(world_metric(SQ_M_DUPLICATES), 2);
	peer_expect(&sub, "one");
	peer_expect_nothing(&sub);
	world_stop(&w);
}

Test(publish_options, a_dead_letter_may_be_published_again_as_it_came)
{
	begin(false);
	cr_expect_eq(send_props("x", 1,
			 PROPS("sqmqos-dead-reason", "rejected", "sqmqos-dead-time", "t",
			     "sqmqos-dead-queue", "s~w~subscriber")),
	    0);
	cr_expect_str_eq(
	    delivery_prop(peer_expect(&sub, "x"), "sqmqos-dead-queue"), "s~w~subscriber");
	world_stop(&w);
}
