/* Peers of a bridge of kind "amqp" that talk nonsense: it is down, with the reason, and goes on. */
#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "../support/fake_amqp.h"
#include "core/bytes.h"
#include "core/clock.h"

static bool
came_twice(struct bridge_user *x)
{
	(void)x;
	return atomic_load(&fake_amqp.accepted) >= 2;
}

/* It is told as down with these words, once, and dials again. */
static void
expect_down(const char *words)
{
	cr_assert(bridge_user_until(&fake_amqp.user, fake_amqp_is_down));
	cr_expect(strstr(fake_amqp.user.why, words) != NULL, "%s", fake_amqp.user.why);
	cr_expect(strstr(fake_amqp.user.why, "127.0.0.1") != NULL &&
	    strstr(fake_amqp.user.why, "hunter2") == NULL);
	cr_assert(bridge_user_until(&fake_amqp.user, came_twice));
	fake_amqp_end();
}

Test(amqp_hostile, what_is_another_protocol)
{
	static const char http[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";

	fake_amqp_begin(http, sizeof http - 1);
	expect_down("no peer of AMQP 0.9.1");
}

Test(amqp_hostile, another_version_of_amqp)
{
	fake_amqp_begin("AMQP\0\1\0\0", 8);
	expect_down("another version");
}

Test(amqp_hostile, garbage)
{
	static unsigned char noise[1 << 16];

	for (size_t i = 0; i < sizeof noise; i++)
		noise[i] = (unsigned char)(i * 2654435761u >> 24);
	fake_amqp_begin(noise, sizeof noise);
	expect_down("no peer of AMQP 0.9.1");
}

Test(amqp_hostile, a_frame_that_is_giant)
{
	fake_amqp_begin("\1\0\0\177\377\377\377\0\12\0\12", 11);
	expect_down("no peer of AMQP 0.9.1");
}

Test(amqp_hostile, a_frame_that_never_ends)
{
	fake_amqp_begin("\1\0\0\0\0\0\100\0\12\0\12\0\11", 13);
	expect_down("before it said a word");
}

Test(amqp_hostile, frames_of_channels_without_number)
{
	static unsigned char frames[9 * 5000];

	for (size_t i = 0; i < sizeof frames / 9; i++) {
		unsigned char *f = frames + 9 * i;

		f[0] = 3; /* a body */
		sq_put16(f + 1, (uint16_t)(i + 2));
		f[6] = 1;
		f[8] = 0xce;
	}
	fake_amqp_begin(frames, sizeof frames);
	expect_down("a channel never opened");
}

Test(amqp_hostile, nothing_but_words_that_drip)
{
	static const unsigned char start[100] = {1, 0, 0, 0, 0, 1, 0};
	uint64_t from_ms;

	fake_amqp.drips = fake_amqp.stays = true;
	fake_amqp_begin(start, sizeof start);
	while (atomic_load(&fake_amqp.accepted) == 0)
		usleep(1000);
	from_ms = sq_clock_ms();
	bridge_user_close(&fake_amqp.user, SQ_BRIDGE_OUT, 100);
	cr_expect(sq_clock_ms() - from_ms < 9000, "it does not wait for the login's end");
	fake_amqp_end();
}

Test(amqp_hostile, no_login_of_ours)
{
	fake_amqp.login = true;
	fake_amqp.mechanisms = "PLAINER EXTERNAL";
	fake_amqp_begin("", 0);
	expect_down("it takes no login by PLAIN");
}

Test(amqp_hostile, frames_too_small_for_anything)
{
	fake_amqp.login = true;
	fake_amqp.frame_max_kib = 8; /* 2 KiB */
	fake_amqp.mechanisms = "PLAIN";
	fake_amqp_begin("", 0);
	expect_down("frames are too small");
}

Test(amqp_hostile, a_confirm_of_what_was_never_published)
{
	static const unsigned char ack[] = {
	    1, 0, 1, 0, 0, 0, 13, 0, 60, 0, 80, 0, 0, 0, 0, 0, 0, 0, 99, 0, 0xce};

	fake_amqp.login = fake_amqp.stays = true;
	fake_amqp_begin(ack, sizeof ack);
	cr_assert(bridge_user_until(&fake_amqp.user, fake_amqp_is_down));
	cr_expect(strstr(fake_amqp.user.why, "never published") != NULL, "%s", fake_amqp.user.why);
	fake_amqp_end();
}

Test(amqp_hostile, a_delivery_that_nobody_asked_for)
{
	static const unsigned char deliver[] = {
	    1, 0, 1, 0, 0, 0, 17, 0, 60, 0, 60, 1, '0', 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0xce};

	fake_amqp.login = fake_amqp.stays = true;
	fake_amqp_begin(deliver, sizeof deliver);
	cr_assert(bridge_user_until(&fake_amqp.user, fake_amqp_is_down));
	cr_expect(
	    strstr(fake_amqp.user.why, "no peer of AMQP 0.9.1") != NULL, "%s", fake_amqp.user.why);
	fake_amqp_end();
}

/* What was out goes back as uncertain, what a peer never confirms too. */
Test(amqp_hostile, a_peer_that_never_confirms)
{
	fake_amqp.login = fake_amqp.stays = true;
	fake_amqp_begin("", 0);
	cr_assert(bridge_user_until(&fake_amqp.user, fake_amqp_is_up));
	bridge_user_hand(&fake_amqp.user, bridge_user_offer(&fake_amqp.user, "t", "p", 1), 1);
	usleep(50000);
	bridge_user_close(&fake_amqp.user, SQ_BRIDGE_OUT, 100);
	cr_assert(fake_amqp_all_ended(&fake_amqp.user));
	cr_expect(fake_amqp.user.offers[0].end.how == SQ_OFFER_LATER &&
	    fake_amqp.user.offers[0].end.uncertain);
	fake_amqp_end();
}

/* Content whose frames have nothing, or next to nothing, of it, so that it never ends. */
static void
crumbs(size_t bytes_of_each)
{
	enum { CRUMBS = 20000 };
	static const unsigned char head[] = {1, 0, 1, 0, 0, 0, 14, 0, 50, 0, 11, 1, 'q', 0, 0, 0, 0,
	    0, 0, 0, 0, 0xce, /* declare-ok */
	    1, 0, 1, 0, 0, 0, 17, 0, 60, 0, 60, 1, '0', 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0xce, /* */
	    2, 0, 1, 0, 0, 0, 14, 0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0, 0xce};
	static unsigned char words[sizeof head + CRUMBS * 9];
	size_t at = sizeof head;

	memcpy(words, head, sizeof head);
	for (size_t i = 0; i < CRUMBS; i++) {
		memcpy(words + at, "\3\0\1\0\0\0\0", 7);
		words[at + 6] = (unsigned char)bytes_of_each;
		at += 7 + bytes_of_each;
		words[at++] = 0xce;
	}
	fake_amqp.login = fake_amqp.stays = true;
	fake_amqp.queues = 1;
	fake_amqp_begin(words, at);
	cr_assert(bridge_user_until(&fake_amqp.user, fake_amqp_is_down));
	cr_expect(
	    strstr(fake_amqp.user.why, "content in crumbs") != NULL, "%s", fake_amqp.user.why);
	fake_amqp_end();
}

Test(amqp_hostile, content_that_never_ends)
{
	crumbs(0);
}

Test(amqp_hostile, content_of_a_byte_at_a_time)
{
	crumbs(1);
}
