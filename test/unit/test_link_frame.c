/* The link's bodies and frames: each survives its round trip, and each cut or
 * bent one is refused. */
#include <criterion/criterion.h>

#include "core/mem.h"
#include "proto/link/frame.h"
#include "proto/link/key.h"

static struct sq_bytes
text(const char *s)
{
	return (struct sq_bytes){(const unsigned char *)s, strlen(s)};
}

static struct sq_msg
message(unsigned qos, bool retain)
{
	return sq_msg_new(qos, retain, text("a/b"), text(""), SQ_MSG_NO_EXPIRY, text("payload"));
}

Test(link_frame, attach_round_trip_and_every_truncation)
{
	struct sq_msg will = message(1, true);
	struct sq_open_id ids[2] = {
	    {.packet_id = 7, .state = SQ_OPEN_QOS1, .queue = 9, .origin = {1, 2, 3, 1}},
	    {.packet_id = 65535, .state = SQ_OPEN_RECEIVED, .origin = {4, 5, 6, 0}},
	};
	struct sq_attach in = {.instance = 11,
			     .ordinal = 12,
			     .attempt = 13,
			     .link = 14,
			     .flags = SQ_ATTACH_CLEAN_START | SQ_ATTACH_WILL | SQ_ATTACH_GONE,
			     .expiry_s = 15,
			     .receive_max = 16,
			     .incarnation = 19,
			     .will_delay_s = 20,
			     .will = {will.image, sq_image_size(will.image)},
			     .n_open = 2},
			 out;
	struct sq_buf b = {0};
	struct sq_open_id id;

	sq_attach_encode(&b, &in, ids);
	for (size_t n = 0; n < sq_buf_len(&b); n++)
		cr_assert_eq(sq_attach_decode(sq_buf_data(&b), n, &out), SQ_EINVAL, "%zu bytes", n);
	cr_assert_eq(sq_attach_decode(sq_buf_data(&b), sq_buf_len(&b), &out), SQ_OK);
	cr_assert_eq(out.instance, 11);
	cr_assert_eq(out.ordinal, 12);
	cr_assert_eq(out.attempt, 13);
	cr_assert_eq(out.link, 14);
	cr_assert_eq(out.flags, in.flags);
	cr_assert_eq(out.expiry_s, 15);
	cr_assert_eq(out.receive_max, 16);
	cr_assert_eq(out.incarnation, 19);
	cr_assert_eq(out.will_delay_s, 20);
	cr_assert_eq(out.will.len, sq_image_size(will.image));
	cr_assert_eq(memcmp(out.will.p, will.image, out.will.len), 0);
	id = sq_open_id_next(&out.open, false);
	cr_assert(
	    id.packet_id == 7 && id.queue == 9 && sq_origin_equal(&id.origin, &ids[0].origin));
	id = sq_open_id_next(&out.open, false);
	cr_assert(id.packet_id == 65535 && id.state == SQ_OPEN_RECEIVED);
	cr_assert_eq(out.open.len, 0);
	sq_buf_u8(&b, 0);
	cr_assert_eq(sq_attach_decode(sq_buf_data(&b), sq_buf_len(&b), &out), SQ_EINVAL);
	sq_buf_fini(&b);
	sq_msg_unref(&will);
}

Test(link_frame, attached_round_trip_and_every_truncation)
{
	const struct sq_open_id id = {.packet_id = 1, .state = SQ_OPEN_ORPHAN, .delivery = 77};
	struct sq_attached in = {.epoch = 1,
			       .incarnation = 2,
			       .store = 3,
			       .present = true,
			       .max_packet = 4,
			       .expiry_s = 7,
			       .last = {5, 6},
			       .held = {(const unsigned char *)"\0\3\0\4", 4},
			       .n_held = 2,
			       .n_open = 1,
			       .limits = {.topic_levels = 8,
				   .client_id = 99,
				   .max_qos = 1,
				   .off = SQ_OFF_RETAIN | SQ_OFF_CONTROL}},
			   out;
	struct sq_buf b = {0}, open = {0};

	sq_open_id_put(&open, &id, true);
	in.open = sq_buf_bytes(&open);
	sq_attached_encode(&b, &in, SQ_LINK_VERSION);
	sq_buf_fini(&open);
	for (size_t n = 0; n < sq_buf_len(&b); n++)
		cr_assert_eq(
		    sq_attached_decode(sq_buf_data(&b), n, SQ_LINK_VERSION, &out), SQ_EINVAL);
	cr_assert_eq(
	    sq_attached_decode(sq_buf_data(&b), sq_buf_len(&b), SQ_LINK_VERSION, &out), SQ_OK);
	cr_assert(out.present && out.epoch == 1 && out.incarnation == 2 && out.store == 3);
	cr_assert(out.last[0] == 5 && out.last[1] == 6 && out.max_packet == 4 && out.expiry_s == 7);
	cr_assert(out.n_held == 2 && sq_get16(out.held.p + 2) == 4);
	cr_assert_not(out.renewed);
	cr_assert_eq(sq_open_id_next(&out.open, true).delivery, 77);
	cr_assert(out.limits.topic_levels == 8 && out.limits.client_id == 99);
	cr_assert(out.limits.max_qos == 1 && out.limits.off == (SQ_OFF_RETAIN | SQ_OFF_CONTROL));
	sq_buf_fini(&b);
}

/* Version 1 has no limits: those are meant that every program had then. */
Test(link_frame, an_answer_to_an_attach_in_version_1)
{
	struct sq_attached in = {.epoch = 1, .incarnation = 2, .limits = {1, 1, 1, 1}}, out;
	struct sq_buf b = {0}, newer = {0};

	sq_attached_encode(&b, &in, 1);
	sq_attached_encode(&newer, &in, 2);
	cr_assert_eq(sq_buf_len(&newer), sq_buf_len(&b) + SQ_LIMITS_SIZE);
	cr_assert_eq(
	    sq_attached_decode(sq_buf_data(&newer), sq_buf_len(&newer), 1, &out), SQ_EINVAL);
	cr_assert_eq(sq_attached_decode(sq_buf_data(&b), sq_buf_len(&b), 2, &out), SQ_EINVAL);
	cr_assert_eq(sq_attached_decode(sq_buf_data(&b), sq_buf_len(&b), 1, &out), SQ_OK);
	cr_assert_eq(memcmp(&out.limits, &sq_limits_unsaid, sizeof out.limits), 0);
	sq_buf_fini(&b);
	sq_buf_fini(&newer);
}

Test(link_frame, limits_that_cant_be)
{
	const struct sq_limits bad[] = {{0, 256, 2, 0}, {128, 0, 2, 0}, {128, 256, 3, 0},
	    {128, 256, 2, SQ_OFF_ALL + 1}, {128, 256, 2, 0x80}};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct sq_attached in = {.epoch = 1, .incarnation = 2, .limits = bad[i]}, out;
		struct sq_buf b = {0};

		sq_attached_encode(&b, &in, 2);
		cr_assert_eq(
		    sq_attached_decode(sq_buf_data(&b), sq_buf_len(&b), 2, &out), SQ_EINVAL);
		sq_buf_fini(&b);
	}
}

Test(link_frame, the_stricter_limits)
{
	struct sq_limits a = {10, 300, 2, SQ_OFF_RETAIN}, b = {20, 30, 1, SQ_OFF_SHARED};
	struct sq_limits s = sq_limits_stricter(&a, &b), t = sq_limits_stricter(&b, &a);

	cr_assert(s.topic_levels == 10 && s.client_id == 30 && s.max_qos == 1);
	cr_assert_eq(s.off, SQ_OFF_RETAIN | SQ_OFF_SHARED);
	cr_assert_eq(memcmp(&s, &t, sizeof s), 0);
}

/* Each flag says one thing, and flags that nobody knows yet are refused. */
Test(link_frame, flags_of_an_answer_to_an_attach)
{
	enum { FLAGS_AT = 24 };

	for (unsigned flags = 0; flags < 256; flags++) {
		struct sq_attached in = {.epoch = 1,
				       .incarnation = 2,
				       .limits = sq_limits_unsaid,
				       .present = (flags & 1) != 0,
				       .renewed = (flags & 2) != 0},
				   out;
		struct sq_buf b = {0};
		unsigned char *p;

		sq_attached_encode(&b, &in, SQ_LINK_VERSION);
		p = sq_buf_data(&b);
		cr_assert_eq(p[FLAGS_AT], flags & 3);
		p[FLAGS_AT] = (unsigned char)flags;
		if (flags > 3) {
			cr_assert_eq(sq_attached_decode(p, sq_buf_len(&b), SQ_LINK_VERSION, &out),
			    SQ_EINVAL);
		} else {
			cr_assert_eq(
			    sq_attached_decode(p, sq_buf_len(&b), SQ_LINK_VERSION, &out), SQ_OK);
			cr_assert_eq(out.present, in.present);
			cr_assert_eq(out.renewed, in.renewed);
		}
		sq_buf_fini(&b);
	}
}

static void
batch_begin(struct sq_buf *b, uint8_t lane, uint16_t n, unsigned version)
{
	struct sq_batch h = {
	    .lane = lane, .n = n, .run = 1, .first = 10, .upto = 9, .mark = 0x01020304};

	sq_batch_header(sq_buf_reserve(b, SQ_BATCH_HEADER), &h);
	sq_buf_commit(b, sq_batch_header_size(version));
}

static void
batch_entry(struct sq_buf *b, uint8_t kind, uint16_t id, const struct sq_msg *m)
{
	sq_entry_header(sq_buf_reserve(b, SQ_ENTRY_HEADER), kind, id);
	sq_buf_commit(b, SQ_ENTRY_HEADER);
	if (m != NULL)
		sq_buf_append(b, m->image, sq_image_size(m->image));
}

/* In a version of the link. */
static void
batch_round_trip(unsigned version)
{
	struct sq_msg q1 = message(1, false), q2 = message(2, false);
	struct sq_buf b = {0};
	struct sq_batch out;
	struct sq_entry e;

	batch_begin(&b, 1, 3, version);
	batch_entry(&b, SQ_ENTRY_MESSAGE, 0, &q1);
	batch_entry(&b, SQ_ENTRY_MESSAGE, 5, &q2);
	batch_entry(&b, SQ_ENTRY_RELEASE, 5, NULL);
	for (size_t n = 0; n < sq_buf_len(&b); n++)
		cr_assert_eq(sq_batch_decode(sq_buf_data(&b), n, version, &out), SQ_EINVAL);
	cr_assert_eq(sq_batch_decode(sq_buf_data(&b), sq_buf_len(&b), version, &out), SQ_OK);
	cr_assert_eq(out.mark, version >= 2 ? 0x01020304 : 0);
	cr_assert(out.lane == 1 && out.n == 3 && out.run == 1 && out.first == 10 && out.upto == 9);
	e = sq_batch_next(&out.entries);
	cr_assert(e.kind == SQ_ENTRY_MESSAGE && sq_image_payload(e.image).len == 7);
	e = sq_batch_next(&out.entries);
	cr_assert(e.packet_id == 5 && sq_image_qos(e.image) == 2);
	e = sq_batch_next(&out.entries);
	cr_assert(e.kind == SQ_ENTRY_RELEASE && e.packet_id == 5 && e.image == NULL);
	cr_assert_eq(out.entries.len, 0);
	sq_buf_fini(&b);
	sq_msg_unref(&q1);
	sq_msg_unref(&q2);
}

Test(link_frame, batch_round_trip_and_every_truncation)
{
	batch_round_trip(1);
	batch_round_trip(2);
}

Test(link_frame, batch_refuses_what_its_lane_must_not_carry)
{
	struct {
		uint8_t lane, kind;
		uint16_t id;
		unsigned qos;
		bool retain, ok;
	} rows[] = {
	    {0, SQ_ENTRY_MESSAGE, 0, 0, false, true},
	    {0, SQ_ENTRY_MESSAGE, 0, 1, false, false},
	    {0, SQ_ENTRY_MESSAGE, 0, 0, true, false},
	    {0, SQ_ENTRY_RELEASE, 1, 0, false, false},
	    {1, SQ_ENTRY_MESSAGE, 0, 0, false, true},
	    {1, SQ_ENTRY_MESSAGE, 0, 0, true, true},
	    {1, SQ_ENTRY_MESSAGE, 1, 1, false, false},
	    {1, SQ_ENTRY_MESSAGE, 0, 2, false, true}, /* raised from less */
	    {1, SQ_ENTRY_MESSAGE, 1, 2, false, true},
	    {1, SQ_ENTRY_RELEASE, 0, 0, false, false},
	    {1, 3, 1, 0, false, false},
	    {2, SQ_ENTRY_MESSAGE, 0, 0, false, false},
	};

	for (size_t i = 0; i < SQ_ARRAY_LEN(rows); i++) {
		struct sq_msg m = message(rows[i].qos, rows[i].retain);
		struct sq_buf b = {0};
		struct sq_batch out;

		batch_begin(&b, rows[i].lane, 1, 2);
		batch_entry(
		    &b, rows[i].kind, rows[i].id, rows[i].kind == SQ_ENTRY_RELEASE ? NULL : &m);
		cr_expect_eq(sq_batch_decode(sq_buf_data(&b), sq_buf_len(&b), 2, &out) == SQ_OK,
		    rows[i].ok, "row %zu", i);
		sq_buf_fini(&b);
		sq_msg_unref(&m);
	}
}

Test(link_frame, settlements_round_trip)
{
	struct sq_settle a = {SQ_SETTLE_ACK, 0, 3, 100}, c = {SQ_SETTLE_REJECT, 0x83, 1, 7}, got;
	struct sq_buf b = {0};
	struct sq_settlements out;

	sq_settlements_header(&b, 5, 6);
	sq_settle_put(&b, &a);
	sq_settle_put(&b, &c);
	cr_assert_eq(sq_settlements_decode(sq_buf_data(&b), sq_buf_len(&b) - 1, &out), SQ_EINVAL);
	cr_assert_eq(sq_settlements_decode(sq_buf_data(&b), sq_buf_len(&b), &out), SQ_OK);
	cr_assert(out.credit_msgs == 5 && out.credit_bytes == 6);
	cr_assert(sq_settle_next(&out.entries, &got) && got.n == 3 && got.delivery == 100);
	cr_assert(sq_settle_next(&out.entries, &got) && got.reason == 0x83);
	cr_assert_not(sq_settle_next(&out.entries, &got));
	sq_buf_fini(&b);
}

/* In a version of the link. */
static void
subscriptions_round_trip(unsigned version)
{
	struct sq_sub in = {.op = SQ_SUB_SUBSCRIBE,
			  .options = 2,
			  .sub_id = 9,
			  .flags = SQ_SUB_DECLARED,
			  .group = text("g"),
			  .tag = text("t"),
			  .filter = text("a/#"),
			  .since_ms = UINT64_C(1) << 41,
			  .pod = text("shop-1"),
			  .max_length = 8,
			  .concurrency = 7},
		      got;
	struct sq_subs_head head = {.mark = 0xf0000001, .after = {UINT64_C(1) << 60, 3}}, back;
	struct sq_buf b = {0};
	struct sq_bytes entries;

	sq_subs_head_put(&b, 1, &head, version);
	sq_sub_put(&b, &in, version);
	for (size_t n = 0; n < sq_buf_len(&b); n++)
		cr_assert_eq(
		    sq_subs_decode(sq_buf_data(&b), n, version, &back, &entries), SQ_EINVAL);
	cr_assert_eq(sq_subs_decode(sq_buf_data(&b), sq_buf_len(&b), version, &back, &entries), 1);
	head = version >= 2 ? head : (struct sq_subs_head){0};
	cr_assert(back.mark == head.mark && back.after[0] == head.after[0] &&
	    back.after[1] == head.after[1]);
	got = sq_sub_next(&entries, version);
	cr_assert(got.sub_id == 9 && got.concurrency == 7 && got.max_length == 8 &&
	    got.filter.len == 3 && got.tag.len == 1);
	cr_assert_eq(memcmp(got.filter.p, "a/#", 3), 0);
	cr_assert_eq(got.since_ms, version >= 2 ? in.since_ms : 0);
	cr_assert_eq(got.pod.len, version >= 2 ? 6 : 0);
	sq_buf_fini(&b);
}

Test(link_frame, subscriptions_round_trip_and_every_truncation)
{
	subscriptions_round_trip(1);
	subscriptions_round_trip(2);
}

Test(link_frame, only_a_declared_entry_has_an_age_and_a_pod)
{
	struct sq_sub in = {.op = SQ_SUB_SUBSCRIBE, .filter = text("a"), .since_ms = 1};
	struct sq_subs_head head = {0};
	struct sq_bytes entries;
	struct sq_buf b = {0};

	sq_subs_head_put(&b, 1, &head, 2);
	sq_sub_put(&b, &in, 2);
	cr_assert_eq(
	    sq_subs_decode(sq_buf_data(&b), sq_buf_len(&b), 2, &head, &entries), SQ_EINVAL);
	sq_buf_fini(&b);
}

Test(link_frame, what_has_no_mark_names_no_numbers)
{
	struct sq_sub in = {.op = SQ_SUB_SUBSCRIBE, .filter = text("a")};

	for (uint32_t mark = 0; mark < 2; mark++) {
		struct sq_subs_head head = {.mark = mark, .after = {0, 1}}, back;
		struct sq_bytes entries;
		struct sq_buf b = {0};

		sq_subs_head_put(&b, 1, &head, 2);
		sq_sub_put(&b, &in, 2);
		cr_assert_eq(sq_subs_decode(sq_buf_data(&b), sq_buf_len(&b), 2, &back, &entries),
		    mark != 0 ? 1 : SQ_EINVAL);
		sq_buf_fini(&b);
	}
}

Test(link_frame, detach_round_trip)
{
	struct sq_detach in = {.expiry_s = 4, .will = 1, .flags = SQ_DETACH_QUIET, .last = {5, 6}};

	for (unsigned version = 1; version <= 2; version++) {
		struct sq_buf b = {0};
		struct sq_detach out;
		size_t n;

		sq_detach_encode(&b, &in, version);
		n = sq_buf_len(&b);
		cr_assert_eq(sq_detach_decode(sq_buf_data(&b), n - 1, version, &out), SQ_EINVAL);
		cr_assert_eq(sq_detach_decode(sq_buf_data(&b), n, version, &out), SQ_OK);
		cr_assert(
		    out.expiry_s == 4 && out.will == 1 && out.last[0] == 5 && out.last[1] == 6);
		cr_assert_eq(out.flags, version >= 2 ? SQ_DETACH_QUIET : 0);
		sq_buf_data(&b)[5] |= 2; /* a flag that no version has */
		cr_assert_eq(sq_detach_decode(sq_buf_data(&b), n, version, &out), SQ_EINVAL);
		sq_buf_fini(&b);
	}
}

Test(link_frame, a_detached_frame_has_words_from_version_2_on)
{
	for (unsigned version = 1; version <= 2; version++) {
		struct sq_buf b = {0};
		struct sq_frame f;
		size_t used;

		sq_frame_detached(&b, 7, 0x8e, text("taken\nover"), version);
		cr_assert_eq(
		    sq_frame_decode(sq_buf_data(&b), sq_buf_len(&b), 1000, &f, &used), SQ_OK);
		cr_assert(f.epoch == 7 && f.reason == 0x8e && used == sq_buf_len(&b));
		cr_assert_eq(f.text.len, version >= 2 ? 10 : 0);
		cr_assert(f.text.len == 0 || memcmp(f.text.p, "taken?over", 10) == 0);
		sq_buf_fini(&b);
	}
}

/* As many codes as a request may ask for, the last of them with words. */
Test(link_frame, a_subscribed_frame_round_trip_and_every_truncation)
{
	enum { N = 4096 };
	static uint8_t codes[N];
	struct sq_notes notes = {0};
	struct sq_buf b = {0};
	struct sq_frame f;
	size_t used;

	for (unsigned i = 0; i < N; i++)
		codes[i] = (uint8_t)(i % 3);
	codes[N - 1] = 0x87;
	sq_notes_add(&notes, N - 1, SQ_REFUSAL_DENIED, text("not yours"));
	sq_frame_subscribed(&b, UINT64_C(7) << 40, 0x10000002, codes, N, &notes);
	sq_frame_heartbeat(&b);
	for (size_t n = 0; n < sq_buf_len(&b) - 5; n++)
		cr_assert_eq(
		    sq_frame_decode(sq_buf_data(&b), n, SQ_FRAME_MAX, &f, &used), SQ_EAGAIN);
	cr_assert_eq(sq_frame_decode(sq_buf_data(&b), sq_buf_len(&b), SQ_FRAME_MAX, &f, &used), 0);
	cr_assert(f.type == SQ_FRAME_SUBSCRIBED && used == sq_buf_len(&b) - 5);
	cr_assert(f.epoch == UINT64_C(7) << 40 && f.mark == 0x10000002 && f.n_codes == N);
	cr_assert_eq(memcmp(f.codes, codes, N), 0);
	cr_assert_eq(sq_note_find(f.notes, N - 1).refusal, SQ_REFUSAL_DENIED);
	cr_assert_eq(sq_note_find(f.notes, 0).refusal, 0);
	/* Cut within its length, or with something behind it. */
	for (int off = -1; off <= 1; off += 2) {
		sq_put32(sq_buf_data(&b), (uint32_t)((int)used - 4 + off));
		cr_assert_eq(sq_frame_decode(
				 sq_buf_data(&b), sq_buf_len(&b), SQ_FRAME_MAX, &f, &(size_t){0}),
		    SQ_EINVAL);
	}
	sq_notes_fini(&notes);
	sq_buf_fini(&b);
}

Test(link_frame, a_subscribed_frame_has_a_mark_and_codes)
{
	static const struct {
		uint32_t mark;
		uint16_t n;
	} rows[] = {{0, 1}, {1, 0}};

	for (size_t i = 0; i < SQ_ARRAY_LEN(rows); i++) {
		struct sq_buf b = {0};
		struct sq_frame f;
		size_t used;

		sq_frame_subscribed(&b, 1, rows[i].mark, (const uint8_t *)"", rows[i].n, NULL);
		cr_assert_eq(
		    sq_frame_decode(sq_buf_data(&b), sq_buf_len(&b), 1000, &f, &used), SQ_EINVAL);
		sq_buf_fini(&b);
	}
}

Test(link_frame, a_frame_of_unknown_type_is_whole_and_no_error)
{
	struct sq_buf b = {0};
	struct sq_frame f;
	size_t used;

	sq_buf_u32(&b, 3);
	sq_buf_append(&b, "\xee..", 3);
	cr_assert_eq(sq_frame_decode(sq_buf_data(&b), 6, 1000, &f, &used), SQ_EAGAIN);
	cr_assert_eq(sq_frame_decode(sq_buf_data(&b), 7, 1000, &f, &used), SQ_OK);
	cr_assert(f.type == 0xee && used == 7);
	sq_buf_fini(&b);
}

Test(link_frame, one_deliver_frame_serves_many_targets)
{
	struct sq_msg m = message(1, false);
	struct sq_origin o = {1, 2, 3, 0};
	struct sq_buf b = {0};
	struct sq_frame f;
	size_t at, used;
	uint32_t subs[] = {5, 6};

	sq_frame_heartbeat(&b);
	at = sq_deliver_open(&b, &o, 60, m.image);
	for (uint16_t i = 1; i <= 3; i++) {
		struct sq_target t = {.epoch = i,
		    .delivery = 10u + i,
		    .queue = 4,
		    .packet_id = i,
		    .flags = 1,
		    .n_subs = i == 2 ? 2 : 0};

		cr_assert_eq(sq_deliver_target(&b, at, &t, subs), SQ_OK);
	}
	cr_assert_eq(sq_frame_decode(sq_buf_data(&b), sq_buf_len(&b), 1000, &f, &used), SQ_OK);
	cr_assert_eq(f.type, SQ_FRAME_HEARTBEAT);
	sq_buf_drain(&b, used);
	for (size_t n = 0; n < sq_buf_len(&b); n++)
		cr_assert_eq(sq_frame_decode(sq_buf_data(&b), n, 1000, &f, &used), SQ_EAGAIN);
	cr_assert_eq(sq_frame_decode(sq_buf_data(&b), sq_buf_len(&b), 50, &f, &used), SQ_ETOOBIG);
	cr_assert_eq(sq_frame_decode(sq_buf_data(&b), sq_buf_len(&b), 1000, &f, &used), SQ_OK);
	cr_assert_eq(used, sq_buf_len(&b));
	cr_assert(f.deliver.has_origin && sq_origin_equal(&f.deliver.origin, &o));
	cr_assert(f.deliver.n == 3 && f.deliver.expiry_s == 60);
	cr_assert_eq(memcmp(f.deliver.image, m.image, sq_image_size(m.image)), 0);
	for (uint16_t i = 1; i <= 3; i++) {
		struct sq_target t = sq_target_next(&f.deliver.targets);

		cr_assert(
		    t.epoch == i && t.delivery == 10u + i && t.queue == 4 && t.packet_id == i);
		if (i == 2)
			cr_assert(t.n_subs == 2 && sq_get32(t.subs + 4) == 6);
	}
	cr_assert_eq(f.deliver.targets.len, 0);
	sq_buf_fini(&b);
	sq_msg_unref(&m);
}

Test(link_frame, a_full_frame_takes_no_more_targets)
{
	struct sq_msg m = message(0, false);
	struct sq_target t = {.epoch = 1};
	struct sq_buf b = {0};
	size_t at = sq_deliver_open(&b, NULL, 0, m.image);

	for (int i = 0; i < SQ_DELIVER_TARGETS_MAX; i++)
		cr_assert_eq(sq_deliver_target(&b, at, &t, NULL), SQ_OK);
	cr_assert_eq(sq_deliver_target(&b, at, &t, NULL), SQ_EAGAIN);
	sq_buf_fini(&b);
	sq_msg_unref(&m);
}

Test(link_key, round_trip_escapes_and_refusals)
{
	struct sq_key in = {.space = "a b",
			  .workload = "w~x",
			  .client = "c/\xc3\xa9",
			  .pod = "p-1"},
		      out;
	struct sq_buf b = {0};
	static const char *const bad[] = {"", "a", "a~b", "a~b~", "~b~c", "a~b~c~d~e", "a~b~c%",
	    "a~b~c%4", "a~b~%41", "a~b~%00", "a~b~c d", "a~b~%zz", "a~b~%c3"};

	sq_key_encode(&b, &in);
	cr_assert_eq(sq_key_decode(sq_buf_bytes(&b), &out), SQ_OK);
	cr_assert_str_eq(out.space, in.space);
	cr_assert_str_eq(out.workload, in.workload);
	cr_assert_str_eq(out.client, in.client);
	cr_assert_str_eq(out.pod, in.pod);
	for (size_t i = 0; i < SQ_ARRAY_LEN(bad); i++)
		cr_expect_neq(sq_key_decode(text(bad[i]), &out), SQ_OK, "%s", bad[i]);
	sq_buf_fini(&b);
}

Test(link_frame, kept_subscriptions_read_as_they_were_written)
{
	const struct sq_kept wanted[] = {{1, 0, text("a/#")}, {0x0e, 268435455, text("$share/g/b")},
	    {0, 7, text("$SYS/sidecar/+")}};
	struct sq_buf entries = {0}, b = {0};
	struct sq_frame f;
	size_t used;

	for (size_t i = 0; i < SQ_ARRAY_LEN(wanted); i++)
		sq_kept_put(&entries, &wanted[i]);
	sq_frame_kept(&b, UINT64_C(7) << 40, true, SQ_ARRAY_LEN(wanted), sq_buf_bytes(&entries));
	for (size_t n = 0; n < sq_buf_len(&b); n++)
		cr_assert_eq(sq_frame_decode(sq_buf_data(&b), n, 1000, &f, &used), SQ_EAGAIN);
	cr_assert_eq(sq_frame_decode(sq_buf_data(&b), sq_buf_len(&b), 1000, &f, &used), 0);
	cr_assert(f.type == SQ_FRAME_KEPT && used == sq_buf_len(&b));
	cr_assert_eq(f.epoch, UINT64_C(7) << 40);
	cr_assert_eq(f.n_kept, SQ_ARRAY_LEN(wanted));
	cr_assert(f.last_kept);
	for (size_t i = 0; i < SQ_ARRAY_LEN(wanted); i++) {
		struct sq_kept k = sq_kept_next(&f.kept);

		cr_expect_eq(k.options, wanted[i].options);
		cr_expect_eq(k.sub_id, wanted[i].sub_id);
		cr_expect(k.filter.len == wanted[i].filter.len &&
		    memcmp(k.filter.p, wanted[i].filter.p, k.filter.len) == 0);
	}
	cr_assert_eq(f.kept.len, 0);
	sq_buf_drain(&b, sq_buf_len(&b));
	sq_frame_kept(&b, 1, true, 0, (struct sq_bytes){0});
	cr_assert_eq(sq_frame_decode(sq_buf_data(&b), sq_buf_len(&b), 1000, &f, &used), 0);
	cr_assert(f.last_kept && f.n_kept == 0);
	sq_buf_fini(&entries);
	sq_buf_fini(&b);
}

Test(link_frame, malformed_kept_subscriptions_are_refused)
{
	const struct sq_kept bad[] = {{3, 0, text("a")}, {0x10, 0, text("a")}, {0, 0, text("")}};
	struct sq_kept good = {1, 2, text("a")};
	struct sq_frame f;
	size_t used;

	for (size_t i = 0; i <= SQ_ARRAY_LEN(bad) + 1; i++) {
		struct sq_buf entries = {0}, b = {0};
		bool more = i == SQ_ARRAY_LEN(bad), none = i == SQ_ARRAY_LEN(bad) + 1;

		sq_kept_put(&entries, more || none ? &good : &bad[i]);
		sq_frame_kept(&b, 1, false, more ? 2 : none ? 0 : 1, sq_buf_bytes(&entries));
		cr_expect_eq(
		    sq_frame_decode(sq_buf_data(&b), sq_buf_len(&b), 1000, &f, &used), SQ_EINVAL);
		sq_buf_fini(&entries);
		sq_buf_fini(&b);
	}
}

/* Frames that name a broker: whole, and not one byte less or more. */
Test(link_frame, addresses_of_brokers)
{
	struct sq_buf b = {0};
	struct sq_frame f;
	size_t used;
	unsigned char longer[4 + 1 + 2 + SQ_ADDRESS_MAX + 1] = {[4] = SQ_FRAME_DRAINING};

	sq_frame_draining(&b, sq_bytes_of("b:7443"), 2);
	cr_assert_eq(sq_buf_len(&b), 5, "older links are told none");
	sq_frame_draining(&b, sq_bytes_of("b:7443"), 3);
	sq_frame_standby(&b, sq_bytes_of(""));
	cr_assert_eq(sq_frame_decode(sq_buf_data(&b), sq_buf_len(&b), 1000, &f, &used), SQ_OK);
	cr_assert(f.type == SQ_FRAME_DRAINING && f.address.len == 0);
	sq_buf_drain(&b, used);
	cr_assert_eq(sq_frame_decode(sq_buf_data(&b), sq_buf_len(&b), 1000, &f, &used), SQ_OK);
	cr_assert(f.type == SQ_FRAME_DRAINING && sq_bytes_are(f.address, "b:7443"));
	for (size_t cut = 0; cut < used; cut++) {
		struct sq_frame part;
		size_t need;

		cr_assert_eq(sq_frame_decode(sq_buf_data(&b), cut, 1000, &part, &need), SQ_EAGAIN);
	}
	sq_buf_drain(&b, used);
	cr_assert_eq(sq_frame_decode(sq_buf_data(&b), sq_buf_len(&b), 1000, &f, &used), SQ_OK);
	cr_assert(f.type == SQ_FRAME_STANDBY && f.address.len == 0);
	sq_buf_fini(&b);
	sq_put32(longer, 1 + 2 + SQ_ADDRESS_MAX + 1);
	sq_put16(longer + 5, SQ_ADDRESS_MAX + 1);
	cr_assert_eq(sq_frame_decode(longer, sizeof longer, 1000, &f, &used), SQ_EINVAL);
	sq_put32(longer, 1 + 2 + SQ_ADDRESS_MAX);
	sq_put16(longer + 5, SQ_ADDRESS_MAX);
	cr_assert_eq(sq_frame_decode(longer, sizeof longer, 1000, &f, &used), SQ_OK);
	cr_assert_eq(f.address.len, SQ_ADDRESS_MAX);
}
