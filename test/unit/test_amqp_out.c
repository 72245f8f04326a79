/* What a forwarder of kind "amqp" does with what its peer says, or does not say, of messages. */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../support/fake_amqp.h"

static void
offer_three(void)
{
	cr_assert(bridge_user_until(&fake_amqp.user, fake_amqp_is_up));
	for (unsigned i = 0; i < 3; i++)
		bridge_user_offer(&fake_amqp.user, "t", "p", i);
	bridge_user_hand(&fake_amqp.user, fake_amqp.user.offers, 3);
}

/* The last bits of basic.publish are 'mandatory' and 'immediate'. */
static void
confirms_two(int fd, uint32_t method, const unsigned char *p, size_t n)
{
	if (method != FAKE_AMQP_PUBLISH)
		return;
	cr_expect_eq(p[n - 1], 1, "mandatory, and not immediate");
	if (atomic_fetch_add(&fake_amqp.published, 1) == 2)
		fake_amqp_confirm(fd, true, 2, true);
}

Test(amqp_out, a_confirm_of_several_is_of_no_other)
{
	fake_amqp.login = true;
	fake_amqp.heard = confirms_two;
	fake_amqp_begin("", 0);
	offer_three();
	cr_assert(bridge_user_until(&fake_amqp.user, fake_amqp_two_ended));
	bridge_user_close(&fake_amqp.user, SQ_BRIDGE_OUT, 100);
	for (unsigned i = 0; i < 2; i++)
		cr_expect_eq(
		    (int)fake_amqp.user.offers[i].end.how, (int)SQ_OFFER_ACCEPTED, "%u", i);
	cr_expect_eq((int)fake_amqp.user.offers[2].end.how, (int)SQ_OFFER_LATER);
	cr_expect(fake_amqp.user.offers[2].end.uncertain, "the peer may have it");
	fake_amqp_end();
}

static void
only_counts(int fd, uint32_t method, const unsigned char *p, size_t n)
{
	(void)fd;
	(void)p;
	(void)n;
	if (method == FAKE_AMQP_PUBLISH)
		atomic_fetch_add(&fake_amqp.published, 1);
}

static bool
is_blocked(struct bridge_user *x)
{
	struct sq_buf b = {0};
	bool blocked;

	x->forwarder->ops->status(x->forwarder, &b);
	sq_buf_u8(&b, 0);
	blocked = strstr((const char *)sq_buf_data(&b), "\"blocked\":true") != NULL;
	sq_buf_fini(&b);
	return blocked;
}

/* What was asked for before it blocked stays here, and goes back as what the peer never had. */
Test(amqp_out, a_peer_that_blocks_is_sent_nothing)
{
	static const unsigned char blocked[] = {1, 0, 0, 0, 0, 0, 6, 0, 10, 0, 60, 1, 'm', 0xce};
	struct sq_offered *item;

	fake_amqp.login = true;
	fake_amqp.heard = only_counts;
	fake_amqp_begin(blocked, sizeof blocked);
	cr_assert(bridge_user_until(&fake_amqp.user, fake_amqp_is_up));
	cr_assert(bridge_user_until(&fake_amqp.user, is_blocked));
	item = &bridge_user_offer(&fake_amqp.user, "t", "p", 1)->offered;
	fake_amqp.user.forwarder->ops->offer(fake_amqp.user.forwarder, &item, 1);
	bridge_user_close(&fake_amqp.user, SQ_BRIDGE_OUT, 1000);
	cr_expect(fake_amqp.user.offers[0].end.how == SQ_OFFER_LATER &&
	    !fake_amqp.user.offers[0].end.uncertain);
	fake_amqp_end();
	cr_expect_eq(atomic_load(&fake_amqp.published), 0U);
}

Test(amqp_out, a_peer_that_confirms_nothing_is_dialled_anew)
{
	fake_amqp.login = true;
	fake_amqp.heard = only_counts;
	fake_amqp_begin("", 0);
	cr_assert(bridge_user_until(&fake_amqp.user, fake_amqp_is_up));
	bridge_user_hand(&fake_amqp.user, bridge_user_offer(&fake_amqp.user, "t", "p", 1), 1);
	cr_assert(bridge_user_until(&fake_amqp.user, fake_amqp_is_down));
	cr_expect(
	    strstr(fake_amqp.user.why, "not confirmed for 30 s") != NULL, "%s", fake_amqp.user.why);
	cr_expect(fake_amqp.user.offers[0].end.how == SQ_OFFER_LATER &&
	    fake_amqp.user.offers[0].end.uncertain);
	fake_amqp_end();
}

static void
refuses(int fd, uint32_t method, const unsigned char *p, size_t n)
{
	(void)p;
	(void)n;
	fake_amqp.login =
	    false; /* of no other connection: that this one has ended stays to be seen */
	if (method == FAKE_AMQP_PUBLISH)
		fake_amqp_confirm(fd, false, atomic_fetch_add(&fake_amqp.published, 1) + 1, false);
}

static bool
ended_or_down(struct bridge_user *x)
{
	return fake_amqp_is_down(x) || x->offers[0].ends > 0;
}

Test(amqp_out, a_peer_that_refuses_all_is_dialled_anew)
{
	fake_amqp.login = true;
	fake_amqp.heard = refuses;
	fake_amqp_begin("", 0);
	cr_assert(bridge_user_until(&fake_amqp.user, fake_amqp_is_up));
	bridge_user_hand(&fake_amqp.user, bridge_user_offer(&fake_amqp.user, "t", "p", 1), 1);
	while (bridge_user_until(&fake_amqp.user, ended_or_down) &&
	    !fake_amqp_is_down(&fake_amqp.user)) {
		cr_assert_eq((int)fake_amqp.user.offers[0].end.how, (int)SQ_OFFER_FAILED);
		usleep(100000); /* as attempts have time between them */
		bridge_user_again(&fake_amqp.user, &fake_amqp.user.offers[0]);
		fake_amqp.user.forwarder->ops->offer(fake_amqp.user.forwarder,
		    &(struct sq_offered *){&fake_amqp.user.offers[0].offered}, 1);
	}
	cr_expect(
	    strstr(fake_amqp.user.why, "taken nothing for 10 s") != NULL, "%s", fake_amqp.user.why);
	fake_amqp_end();
}

/* Has a first message fail at the peer, and, before the user has heard of that, offers the next one of its
 * lane: it must not overtake. */
static void
expect_no_overtaking(unsigned served)
{
	struct sq_offered *item;
	bool told = false;

	bridge_user_hand(&fake_amqp.user, bridge_user_offer(&fake_amqp.user, "t", "p", 1), 1);
	while (!told || atomic_load(&fake_amqp.served) < served) {
		usleep(1000);
		pthread_mutex_lock(&fake_amqp.user.lock);
		told = !sq_list_empty(&fake_amqp.user.tasks);
		pthread_mutex_unlock(&fake_amqp.user.lock);
	}
	item = &bridge_user_offer(&fake_amqp.user, "t", "p", 1)->offered;
	fake_amqp.user.forwarder->ops->offer(fake_amqp.user.forwarder, &item, 1);
	cr_assert(bridge_user_until(&fake_amqp.user, fake_amqp_two_ended));
	cr_expect_neq((int)fake_amqp.user.offers[0].end.how, (int)SQ_OFFER_ACCEPTED);
	cr_expect_eq((int)fake_amqp.user.offers[1].end.how, (int)SQ_OFFER_LATER);
	fake_amqp_end();
	cr_expect_eq(atomic_load(&fake_amqp.published), 1U);
}

Test(amqp_out, nothing_overtakes_what_was_refused)
{
	fake_amqp.login = true;
	fake_amqp.heard = refuses;
	fake_amqp_begin("", 0);
	cr_assert(bridge_user_until(&fake_amqp.user, fake_amqp_is_up));
	expect_no_overtaking(1);
}

static void
hangs_up(int fd, uint32_t method, const unsigned char *p, size_t n)
{
	only_counts(fd, method, p, n);
	if (method == FAKE_AMQP_PUBLISH)
		(void)shutdown(fd, SHUT_RDWR);
}

Test(amqp_out, nothing_overtakes_what_a_lost_connection_had)
{
	fake_amqp.login = true;
	fake_amqp.heard = hangs_up;
	fake_amqp_begin("", 0);
	cr_assert(bridge_user_until(&fake_amqp.user, fake_amqp_is_up));
	expect_no_overtaking(2);
}

/* channel.close; whoever opens it again has answered that. */
static void
closes_channel(int fd, uint32_t method, const unsigned char *p, size_t n)
{
	static const unsigned char no_exchange[] = {
	    0, 20, 0, 40, 1, 0x94, 1, 'n', 0, 60, 0, 40}; /* 404, of basic.publish */

	(void)p;
	(void)n;
	if (method == FAKE_AMQP_PUBLISH && atomic_fetch_add(&fake_amqp.published, 1) == 0)
		fake_amqp_frame(fd, 1, 1, no_exchange, sizeof no_exchange);
	else if (method == FAKE_AMQP_PUBLISH)
		fake_amqp_confirm(fd, true, 1, false);
	else if (method == FAKE_AMQP_CHANNEL_CLOSE_OK)
		atomic_fetch_add(&fake_amqp.closed, 1);
	else if (method == FAKE_AMQP_CHANNEL_OPEN && atomic_load(&fake_amqp.closed) == 1)
		fake_amqp_frame(fd, 1, 1, "\0\24\0\13\0\0\0", 8);
	else if (method == FAKE_AMQP_SELECT && atomic_load(&fake_amqp.closed) == 1)
		fake_amqp_frame(fd, 1, 1, "\0\125\0\13", 4);
}

Test(amqp_out, a_message_that_closes_the_channel_is_unroutable_and_others_go_on)
{
	fake_amqp.login = true;
	fake_amqp.heard = closes_channel;
	fake_amqp_begin("", 0);
	cr_assert(bridge_user_until(&fake_amqp.user, fake_amqp_is_up));
	bridge_user_hand(&fake_amqp.user, bridge_user_offer(&fake_amqp.user, "t", "p", 1), 1);
	cr_assert(bridge_user_until(&fake_amqp.user, fake_amqp_all_ended));
	cr_expect_eq((int)fake_amqp.user.offers[0].end.how, (int)SQ_OFFER_NEVER);
	cr_expect_eq((int)fake_amqp.user.offers[0].end.never, (int)SQ_OFFER_UNROUTABLE);
	bridge_user_hand(&fake_amqp.user, bridge_user_offer(&fake_amqp.user, "t", "p", 1), 1);
	cr_assert(bridge_user_until(&fake_amqp.user, fake_amqp_two_ended));
	cr_expect_eq((int)fake_amqp.user.offers[1].end.how, (int)SQ_OFFER_ACCEPTED);
	cr_expect_eq(atomic_load(&fake_amqp.accepted), 1U, "by the same connection");
	fake_amqp_end();
}
