#include "jobs.h"

#include <stdio.h>
#include <string.h>

#include "broker/auth/acl/acl.h"

struct sq_acl *
jobs_rules(void)
{
	char *allowed[] = {(char[]){"consume"}, (char[]){"manage"}};
	char *all[] = {(char[]){"*"}};
	char *locked[] = {(char[]){"locked"}, (char[]){"out/locked"}};
	char *publish[] = {(char[]){"publish"}};
	struct sq_acl_rule v[] = {
	    {.allow = {allowed, 2}, .queues = {all, 1}, .where = "a:1"},
	    {.deny = {publish, 1}, .topics = {locked, 2}, .where = "a:2"},
	};
	struct sq_buf err = {0};

	return sq_acl_new(v, SQ_ARRAY_LEN(v), false, &err);
}

void
jobs_declare(const char *more)
{
	char json[300];

	snprintf(json, sizeof json,
	    "{\"bindings\":[{\"filter\":\"t/#\",\"qos\":2}],\"retry\":{\"first\":\"1s\","
	    "\"jitter\":false}%s}",
	    more);
	queue_declare(&api, "jobs", json, SQ_QUEUE_CREATED);
}

void
jobs_publish(const char *letters)
{
	for (; *letters != '\0'; letters++) {
		char topic[] = "t/x", payload[] = {*letters, '\0'};

		topic[2] = *letters;
		cr_assert_eq(publisher_send(&http,
				 &(struct entry){.topic = topic, .payload = payload, .qos = 1})
				 .how,
		    SQ_PUBLISHED_STORED);
	}
}

struct fake_queue *
jobs_receive_post(unsigned max, uint64_t wait_ms)
{
	struct fake_queue *q = queue_new(&api, SQ_QUEUE_RECEIVE, "jobs");

	q->call.in.queue.in.receive = (struct sq_queue_receive){
	    .max = max, .max_bytes = 1 << 20, .wait_ms = wait_ms};
	queue_post(q);
	world_run();
	return q;
}

void
jobs_await(struct fake_queue *q, uint64_t most_ms)
{
	for (uint64_t ms = 0; q->answers == 0 && ms < most_ms; ms += 100)
		world_pass(&w, 100);
	(void)queue_await(q);
}

const struct sq_pulled *
jobs_pulled(const struct fake_queue *q, size_t i)
{
	return (const struct sq_pulled *)(const void *)sq_buf_data(&q->call.out.queue.pulled) + i;
}

size_t
jobs_n_pulled(const struct fake_queue *q)
{
	return sq_queue_out_pulled(&q->call.out.queue);
}

const char *
jobs_letters_of(const struct fake_queue *q)
{
	static char is[64];
	size_t n = jobs_n_pulled(q);

	for (size_t i = 0; i < n; i++)
		is[i] = (char)sq_image_payload(jobs_pulled(q, i)->msg.image).p[0];
	is[n] = '\0';
	return is;
}

struct fake_queue *
jobs_receive(const char *letters)
{
	struct fake_queue *q = jobs_receive_post(64, 60000);

	jobs_await(q, 2000); /* of the clock; a disk has all the time that it needs */
	cr_assert_str_eq(
	    jobs_letters_of(q), letters, "%s: %s", w.cfg.engine->name, jobs_letters_of(q));
	return q;
}

void
jobs_expect_nothing(void)
{
	struct fake_queue *q = jobs_receive_post(64, 300);

	jobs_await(q, 1000);
	cr_assert_eq(jobs_n_pulled(q), 0, "%s", jobs_letters_of(q));
	queue_free(&q);
}

struct fake_queue *
jobs_settle_post(const struct fake_queue *of, enum sq_lease_end how)
{
	static struct sq_lease_entry entries[64];
	struct fake_queue *q = queue_new(&api, SQ_QUEUE_SETTLE, NULL);

	for (size_t i = 0; i < jobs_n_pulled(of); i++)
		entries[i] = (struct sq_lease_entry){
		    .lease = sq_bytes_of(jobs_pulled(of, i)->lease), .end = how, .ms = 5000};
	q->call.in.queue.in.settle = (struct sq_queue_settle){
	    .entries = entries, .n = (uint16_t)jobs_n_pulled(of)};
	return q;
}

enum sq_queue_how
jobs_settle(const struct fake_queue *of, enum sq_lease_end how)
{
	struct fake_queue *q = jobs_settle_post(of, how);
	enum sq_queue_how is;

	queue_post(q);
	is = queue_await(q)->how;
	queue_free(&q);
	return is;
}

void
jobs_ack(struct fake_queue **of)
{
	cr_assert_eq(jobs_settle(*of, SQ_LEASE_ACK), SQ_QUEUE_DONE);
	queue_free(of);
}

void
jobs_publish_lane(const char *letters)
{
	for (; *letters != '\0'; letters++) {
		char payload[] = {*letters, '\0'};

		(void)publisher_send(
		    &http, &(struct entry){.topic = "t/lane", .payload = payload, .qos = 1});
	}
}
