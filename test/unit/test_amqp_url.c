/* Addresses of AMQP peers, and what a bridge of that kind may say. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "broker/bridge/amqp/check.h"
#include "broker/bridge/amqp/url.h"

static struct sq_amqp_url
url_read(const char *text)
{
	struct sq_amqp_url u;
	struct sq_buf err = {0};

	cr_assert(sq_amqp_url_read(text, &u, &err) == SQ_OK, "%s", text);
	cr_assert(sq_buf_len(&err) == 0);
	return u;
}

Test(amqp_url, a_url_has_its_parts)
{
	struct sq_amqp_url u = url_read("amqp://rabbit");
	struct sq_buf name = {0};

	cr_assert(!u.tls && u.port == 5672);
	cr_assert_str_eq(u.host, "rabbit");
	cr_assert_str_eq(u.vhost, "/");
	u = url_read("amqps://rabbit.prod:5673/shop%2Feu");
	cr_assert(u.tls && u.port == 5673);
	cr_assert_str_eq(u.vhost, "shop/eu");
	u = url_read("amqps://[2001:db8::1]/");
	cr_assert(u.port == 5671);
	cr_assert_str_eq(u.host, "2001:db8::1");
	cr_assert_str_eq(u.vhost, "/");
	sq_amqp_url_name(&u, &name);
	cr_assert(sq_bytes_are(sq_buf_bytes(&name), "amqps://[2001:db8::1]:5671"));
	sq_buf_fini(&name);
}

Test(amqp_url, what_is_none_is_refused_without_its_text)
{
	static const char *const none[] = {"", "amqp:", "http://rabbit", "amqp://", "amqp://:5672",
	    "amqp://rabbit:", "amqp://rabbit:0", "amqp://rabbit:65536", "amqp://rabbit:5a",
	    "amqp://user:hunter2@rabbit", "amqp://rabbit/a/b", "amqp://rabbit/%zz",
	    "amqp://rabbit/a%00b", "amqp://rabbit?heartbeat=1", "amqp://[::1", "amqp://[rabbit]",
	    "amqp://[::1]5672", "amqp://ra bbit", "amqp://\xc3\xa4"};
	struct sq_amqp_url u;
	char text[600];

	for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
		struct sq_buf err = {0};

		cr_assert(sq_amqp_url_read(none[i], &u, &err) == SQ_EINVAL, "%s", none[i]);
		cr_assert(sq_buf_len(&err) > 0);
		sq_buf_u8(&err, 0);
		cr_assert(strstr((char *)sq_buf_data(&err), "hunter2") == NULL);
		sq_buf_fini(&err);
	}
	for (size_t len = 254; len <= 256; len++) {
		struct sq_buf err = {0};

		strcpy(text, "amqp://");
		memset(text + 7, 'a', len);
		text[7 + len] = '\0';
		cr_assert(sq_amqp_url_read(text, &u, &err) == SQ_EINVAL);
		strcpy(text, "amqp://a/");
		memset(text + 9, 'v', len);
		text[9 + len] = '\0';
		cr_assert(
		    (sq_amqp_url_read(text, &u, &err) == SQ_OK) == (len <= SQ_AMQP_VHOST_MAX));
		sq_buf_fini(&err);
	}
}

/* A bridge whose text is read, up to what the kind says of it. */
static void
check_says(const char *more, const char *want)
{
	struct sq_bridge_cfgs cfgs = {0};
	struct sq_buf text = {0}, err = {0};
	int rc;

	sq_buf_printf(&text, "bridges:\n  b:\n    space: s\n    kind: amqp\n%s", more);
	rc = sq_bridge_cfgs_read("b.yaml", sq_buf_bytes(&text), sq_bridge_amqp_check, &cfgs, &err);
	sq_buf_u8(&err, 0);
	if (want == NULL)
		cr_assert(rc == SQ_OK, "%s%s", more, (char *)sq_buf_data(&err));
	else
		cr_assert(rc == SQ_EINVAL && strstr((char *)sq_buf_data(&err), want) != NULL,
		    "%s%s", more, (char *)sq_buf_data(&err));
	sq_bridge_cfgs_fini(&cfgs);
	sq_buf_fini(&text);
	sq_buf_fini(&err);
}

#define URL "    url: [\"amqp://r\"]\n"
#define WHO "    credentials: {user-file: /u, password-file: /p}\n"
#define OUT "    out: [{filter: a, to: {exchange: e, key: \"{topic}\"}}]\n"

Test(amqp_check, what_is_missing_or_wrong_is_named)
{
	check_says(URL WHO OUT, NULL);
	check_says(URL WHO "    out: [{filter: a}]\n", "out[0].to: needs an exchange");
	check_says(URL WHO "    out: [{filter: a, to: {key: q}}]\n", NULL);
	check_says(URL WHO "    out: [{filter: a, to: {exchange: e}}]\n", NULL);
	check_says(URL WHO "    out: [{filter: a, to: {exchange: \"e-{space}-{queue}\"}}]\n", NULL);
	check_says(URL WHO "    out: [{filter: a, to: {exchange: \"e-{topic.1}\"}}]\n",
	    "out[0].to.exchange: is no message's to say");
	check_says(URL WHO "    out: [{filter: a, to: {exchange: \"{prop:x=e}\"}}]\n",
	    "out[0].to.exchange: is no message's to say");
	check_says(WHO OUT, "url");
	check_says("    url: [\"http://r\"]\n" WHO OUT, "neither amqp://");
	check_says("    url: [\"amqp://u:p@r\"]\n" WHO OUT, "credentials");
	check_says(URL OUT, "EXTERNAL");
	check_says(URL WHO "    tls: {ca-file: /c}\n" OUT, "no url is of amqps://");
	check_says("    url: [\"amqps://r\"]\n    tls: {cert-file: /c, key-file: /k}\n" OUT, NULL);
	check_says(URL WHO "    in: [{queue: q, to: \"x/{key:/}\"}]\n", NULL);
	check_says(URL WHO "    in: [{queue: q, to: x, type: stream}]\n", "quorum nor classic");
	check_says(URL WHO "    in: [{queue: q, to: x, exchange: e}]\n", "declare: true");
	check_says(URL WHO "    declare: true\n    in: [{queue: q, to: x, bind: \"#\"}]\n",
	    "needs an exchange");
}
