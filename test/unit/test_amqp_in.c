/* What an inlet of kind "amqp" does with what its peer says of queues and messages. */
#include <criterion/criterion.h>
#include <string.h>

#include "../support/fake_amqp.h"
#include "core/bytes.h"

/* Three messages; what it hears of them. */
static void
delivers_three(int fd, uint32_t method, const unsigned char *p, size_t n)
{
	unsigned char deliver[] = {0, 60, 0, 60, 1, '0', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 'k'},
		      header[14] = {0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0};

	if (method == FAKE_AMQP_DECLARE)
		fake_amqp_frame(fd, 1, 1, "\0\62\0\13\1q\0\0\0\3\0\0\0", 14);
	for (unsigned char i = 1; method == FAKE_AMQP_CONSUME && i <= 3; i++) {
		deliver[13] = i;
		fake_amqp_frame(fd, 1, 1, deliver, sizeof deliver);
		fake_amqp_frame(fd, 2, 1, header, sizeof header);
		fake_amqp_frame(fd, 3, 1, "p", 1);
	}
	if (method == FAKE_AMQP_ACK && n >= 9) {
		atomic_store(&fake_amqp.last_ack, 2 * sq_get64(p) + p[8]);
		atomic_fetch_add(&fake_amqp.acked, 1);
	}
}

static bool
three_arrived(struct bridge_user *x)
{
	return x->n_arrived == 3;
}

static unsigned settled = 1;

static bool
an_ack(struct bridge_user *x)
{
	(void)x;
	return atomic_load(&fake_amqp.acked) == settled;
}

static void
begin_in(void)
{
	fake_amqp.login = true;
	fake_amqp.queues = 1;
	fake_amqp.heard = delivers_three;
	fake_amqp_begin("", 0);
	fake_amqp.user.inlet->ops->demand(fake_amqp.user.inlet, 10);
	cr_assert(bridge_user_until(&fake_amqp.user, three_arrived));
}

Test(amqp_in, only_what_is_settled_is_acknowledged)
{
	begin_in();
	bridge_user_settle(&fake_amqp.user, 1, SQ_ARRIVAL_TAKEN);
	cr_assert(bridge_user_until(&fake_amqp.user, an_ack));
	cr_expect_eq(
	    atomic_load(&fake_amqp.last_ack), 2 * 2ULL, "the second, and not those before it");
	settled = 2;
	bridge_user_settle(&fake_amqp.user, 0, SQ_ARRIVAL_TAKEN);
	cr_assert(bridge_user_until(&fake_amqp.user, an_ack));
	cr_expect_eq(atomic_load(&fake_amqp.last_ack), 2 * 1ULL, "the first, and not the third");
	fake_amqp_end();
	cr_expect_eq(atomic_load(&fake_amqp.acked), 2U, "nothing of the third, to the end");
}

Test(amqp_in, what_is_not_taken_is_not_acknowledged)
{
	begin_in();
	bridge_user_settle(&fake_amqp.user, 0, SQ_ARRIVAL_LATER);
	bridge_user_settle(&fake_amqp.user, 2, SQ_ARRIVAL_TAKEN);
	cr_assert(bridge_user_until(&fake_amqp.user, an_ack));
	cr_expect_eq(atomic_load(&fake_amqp.last_ack), 2 * 3ULL);
	fake_amqp_end();
	cr_expect_eq(atomic_load(&fake_amqp.acked), 1U);
}

/* The first of two queues is deleted, and made again. */

static atomic_bool made;

/* basic.cancel of the first consumer. */
static void
cancels(int fd)
{
	static const unsigned char cancel[] = {0, 60, 0, 30, 1, '0', 1};

	fake_amqp_frame(fd, 1, 1, cancel, sizeof cancel);
}

/* Says declare-ok. */
static void
declared(int fd)
{
	fake_amqp_frame(fd, 1, fake_amqp.channel, "\0\62\0\13\1q\0\0\0\0\0\0\0", 14);
}

static void
loses_one(int fd, uint32_t method, const unsigned char *p, size_t n)
{
	static const unsigned char missing[] = {
	    0, 20, 0, 40, 1, 0x94, 1, 'n', 0, 50, 0, 10}; /* 404, of queue.declare */

	(void)p;
	(void)n;
	if (method == FAKE_AMQP_CHANNEL_OPEN && fake_amqp.channel == 2) {
		fake_amqp_frame(fd, 1, 2, "\0\24\0\13\0\0\0", 8);
	} else if (method == FAKE_AMQP_DECLARE && fake_amqp.channel == 2 && !atomic_load(&made)) {
		fake_amqp_frame(fd, 1, 2, missing, sizeof missing);
	} else if (method == FAKE_AMQP_DECLARE) {
		declared(fd);
	} else if (method == FAKE_AMQP_CHANNEL_CLOSE_OK) {
		atomic_fetch_add(&fake_amqp.closed, 1);
	} else if (method == FAKE_AMQP_CHANNEL_CLOSE) {
		fake_amqp_frame(fd, 1, 2, "\0\24\0\51", 4);
	} else if (method == FAKE_AMQP_CONSUME && atomic_fetch_add(&fake_amqp.consumed, 1) == 1) {
		cancels(fd);
	}
}

static bool
missed(struct bridge_user *x)
{
	(void)x;
	return atomic_load(&fake_amqp.closed) >= 1;
}

static bool
consumed_again(struct bridge_user *x)
{
	(void)x;
	return atomic_load(&fake_amqp.consumed) == 3;
}

static bool
lacks_nothing(struct bridge_user *x)
{
	return x->up && strstr(x->why, ", but: ") == NULL;
}

static bool
lacks_one(struct bridge_user *x)
{
	return x->up && strstr(x->why, ", but: queue q: ") != NULL;
}

static void
begin_two(void)
{
	fake_amqp.login = true;
	fake_amqp.queues = 2;
	fake_amqp_begin("", 0);
	fake_amqp.user.inlet->ops->demand(fake_amqp.user.inlet, 10);
}

Test(amqp_in, a_queue_that_is_deleted_is_looked_at_beside_the_others)
{
	fake_amqp.heard = loses_one;
	begin_two();
	cr_assert(bridge_user_until(&fake_amqp.user, lacks_one));
	cr_assert(bridge_user_until(&fake_amqp.user, missed));
	atomic_store(&made, true);
	cr_assert(bridge_user_until(&fake_amqp.user, consumed_again));
	cr_assert(bridge_user_until(&fake_amqp.user, lacks_nothing));
	fake_amqp_end();
	cr_expect_eq(atomic_load(&fake_amqp.accepted), 1U, "by one connection");
}

/* What it says of the second channel was never asked for. */
static void
answers_another(int fd, uint32_t method, const unsigned char *p, size_t n)
{
	(void)p;
	(void)n;
	if (method == FAKE_AMQP_CHANNEL_OPEN && fake_amqp.channel == 2)
		fake_amqp_frame(fd, 1, 2, "\0\24\0\51", 4); /* channel.close-ok */
	else if (method == FAKE_AMQP_DECLARE)
		declared(fd);
	else if (method == FAKE_AMQP_CONSUME)
		cancels(fd);
}

Test(amqp_in, nonsense_on_the_second_channel)
{
	fake_amqp.heard = answers_another;
	begin_two();
	cr_assert(bridge_user_until(&fake_amqp.user, fake_amqp_is_down));
	cr_expect(strstr(fake_amqp.user.why, "out of turn on the second channel") != NULL, "%s",
	    fake_amqp.user.why);
	fake_amqp_end();
}
