/* broker/bridge/sqs: where a queue is, who may ask there, and what the check says. */
#include <criterion/criterion.h>
#include <string.h>

#include "broker/bridge/sqs/check.h"
#include "broker/bridge/sqs/place.h"

static const struct {
	char *endpoint, *region; /* of the configuration */
	const char *queue, *account, *env;
	const char *base, *said; /* the region; base NULL: refused */
} places[] = {
    {NULL, NULL, "orders", NULL, "eu-central-1", "https://sqs.eu-central-1.amazonaws.com/",
	"eu-central-1"},
    {NULL, "cn-north-1", "orders.fifo", "123456789012", NULL,
	"https://sqs.cn-north-1.amazonaws.com.cn/", "cn-north-1"},
    {NULL, NULL, "https://sqs.us-west-2.amazonaws.com/123456789012/orders", NULL, "eu-central-1",
	"https://sqs.us-west-2.amazonaws.com/", "us-west-2"},
    {NULL, NULL, "https://us-west-2.queue.amazonaws.com/123456789012/orders", NULL, NULL,
	"https://us-west-2.queue.amazonaws.com/", "us-west-2"},
    {NULL, NULL, "https://vpce-1a.sqs.us-east-1.vpce.amazonaws.com/123456789012/orders", NULL, NULL,
	"https://vpce-1a.sqs.us-east-1.vpce.amazonaws.com/", "us-east-1"},
    {"http://127.0.0.1:9324", NULL, "http://localhost:9324/000000000000/orders", NULL, "elasticmq",
	"http://127.0.0.1:9324/", "elasticmq"},
    {"http://mq:9324/", "eu-west-1", "orders", NULL, NULL, "http://mq:9324/", "eu-west-1"},
    /* Credentials go nowhere else. */
    {NULL, NULL, "https://sqs.us-west-2.amazonaws.com.evil.example/123456789012/orders", NULL,
	"eu-west-1", NULL, NULL},
    {NULL, NULL, "https://evilamazonaws.com/123456789012/orders", NULL, "eu-west-1", NULL, NULL},
    {NULL, NULL, "http://sqs.us-west-2.amazonaws.com/123456789012/orders", NULL, NULL, NULL, NULL},
    {NULL, NULL, "https://amazonaws.com@evil.example/1/orders", NULL, "eu-west-1", NULL, NULL},
    {NULL, NULL, "http://localhost:9324/000000000000/orders", NULL, "eu-west-1", NULL, NULL},
    /* What is none. */
    {NULL, NULL, "orders", NULL, NULL, NULL, NULL},
    {NULL, "Europe", "orders", NULL, NULL, NULL, NULL},
    {NULL, NULL, "or ders", NULL, "eu-west-1", NULL, NULL},
    {NULL, NULL, ".fifo", NULL, "eu-west-1", NULL, NULL},
    {NULL, NULL, NULL, NULL, "eu-west-1", NULL, NULL},
    {NULL, NULL, "orders", "12345678901", "eu-west-1", NULL, NULL},
    {NULL, NULL, "https://sqs.us-west-2.amazonaws.com/123456789012/orders", "123456789012", NULL,
	NULL, NULL},
    {NULL, NULL, "https://sqs.us-west-2.amazonaws.com/", NULL, NULL, NULL, NULL},
    {NULL, NULL, "https://sqs.us-west-2.amazonaws.com/123456789012/orders?a=b", NULL, NULL, NULL,
	NULL},
    {"http://mq:9324/path", NULL, "orders", NULL, "eu-west-1", NULL, NULL},
    {"mq:9324", NULL, "orders", NULL, "eu-west-1", NULL, NULL},
};

Test(sqs_place, credentials_go_to_the_endpoint_or_to_aws)
{
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		const struct sq_bridge_cfg cfg = {
		    .endpoint = places[i].endpoint, .region = places[i].region};
		struct sq_sqs_place p = {0};
		struct sq_buf err = {0};
		int rc = sq_sqs_place_find(
		    &cfg, places[i].queue, places[i].account, places[i].env, &p, &err);

		cr_expect_eq(rc == SQ_OK, places[i].base != NULL, "%zu: %.*s", i,
		    (int)sq_buf_len(&err), (const char *)sq_buf_data(&err));
		cr_expect_eq(sq_buf_len(&err) > 0, rc != SQ_OK, "%zu", i);
		if (rc == SQ_OK && places[i].base != NULL) {
			cr_expect_str_eq(p.base, places[i].base);
			cr_expect_str_eq(p.region, places[i].said);
			cr_expect_eq(strncmp(p.name, "orders", 6), 0);
			cr_expect_eq(p.fifo, strstr(places[i].queue, ".fifo") != NULL);
			cr_expect_eq(p.url != NULL, strstr(places[i].queue, "://") != NULL);
		}
		sq_sqs_place_fini(&p);
		sq_buf_fini(&err);
	}
}

static struct sq_bridge_out out = {.queue = "a"};
static struct sq_bridge_in in = {.queue = "b"};
static struct sq_bridge_cfg cfg = {
    .out = {&out, 1}, .in = {&in, 1}, .visibility_ms = 30000, .dedup_for_ms = 900000};

static void
expect_refused(const char *line)
{
	struct sq_buf err = {0};

	cr_expect_eq(sq_bridge_sqs_check(&cfg, &err), SQ_EINVAL, "%s", line);
	sq_buf_u8(&err, '\0');
	cr_expect_eq(strncmp((const char *)sq_buf_data(&err), line, strlen(line)), 0, "%s",
	    (const char *)sq_buf_data(&err));
	sq_buf_fini(&err);
}

Test(sqs_place, a_configuration_is_checked)
{
	struct sq_buf err = {0};

	cr_expect_eq(sq_bridge_sqs_check(&cfg, &err), SQ_OK);
	out.queue = NULL;
	expect_refused("out[0].to.queue: ");
	out.queue = "a", out.group = "g";
	expect_refused("out[0].to.group: ");
	out.queue = "a.fifo";
	cr_expect_eq(sq_bridge_sqs_check(&cfg, &err), SQ_OK);
	in.queue = "http://h/q";
	expect_refused("in[0].queue: ");
	in.queue = "b", in.account = "x";
	expect_refused("in[0].account: ");
	in.account = NULL, in.unwrap = SQ_BRIDGE_UNWRAP_SNS,
	cfg.format = SQ_BRIDGE_FORMAT_CLOUDEVENTS;
	expect_refused("in[0].unwrap: ");
	in.unwrap = SQ_BRIDGE_UNWRAP_NONE, cfg.endpoint = "ftp://h";
	expect_refused("endpoint: ");
	cfg.endpoint = NULL, cfg.region = "-";
	expect_refused("region: ");
	cfg.region = NULL, cfg.sts_endpoint = "x";
	expect_refused("credentials.sts-endpoint: ");
	cfg.sts_endpoint = NULL, cfg.dedup_for_ms = 1000;
	expect_refused("dedup.for: ");
}
