/* A peer of a bridge of kind "amqp" that says what a test has it say, and a bridge to it.  One of each for a
 * test. */
#ifndef SQ_TEST_SUPPORT_FAKE_AMQP_H
#define SQ_TEST_SUPPORT_FAKE_AMQP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge_user.h"

enum {
	FAKE_AMQP_CHANNEL_OPEN = 0x14000a,
	FAKE_AMQP_CHANNEL_CLOSE = 0x140028,
	FAKE_AMQP_CHANNEL_CLOSE_OK = 0x140029,
	FAKE_AMQP_DECLARE = 0x32000a,
	FAKE_AMQP_CONSUME = 0x3c0014,
	FAKE_AMQP_PUBLISH = 0x3c0028,
	FAKE_AMQP_ACK = 0x3c0050,
	FAKE_AMQP_SELECT = 0x55000a,
};

struct fake_amqp {
	int listener;
	pthread_t thread;
	atomic_bool ends;
	atomic_uint accepted;
	/* What it says: at once, or after a good login and the answers that a half wants. */
	bool login, drips, stays;
	const char *mechanisms;
	unsigned char frame_max_kib;
	const void *words;
	size_t n_words;
	/* After that, for each method that comes: its number, and the payload; by the channel.  NULL: nothing
	 * is read. */
	void (*heard)(int fd, uint32_t method, const unsigned char *p, size_t n);
	unsigned channel;
	unsigned queues; /* of an inlet, 2 at most; 0: the half is a forwarder */
	atomic_uint published, acked, closed, served, consumed;
	atomic_ullong last_ack;  /* 2 * tag, and 1 more for 'multiple' */
	struct bridge_user user; /* of the bridge to it */
};

extern struct fake_amqp fake_amqp;

/* Starts the peer as its members say, with the words it says at once or after the login, and a bridge. */
void fake_amqp_begin(const void *words, size_t n);
/* Ends both. */
void fake_amqp_end(void);

/* On the peer's thread. */

/* Says a frame: type, channel, payload. */
void fake_amqp_frame(int fd, unsigned type, unsigned channel, const void *p, size_t n);
/* Says basic.ack or basic.nack. */
void fake_amqp_confirm(int fd, bool acked, uint64_t tag, bool multiple);

/* For bridge_user_until(). */
bool fake_amqp_is_down(struct bridge_user *);
bool fake_amqp_is_up(struct bridge_user *);
bool fake_amqp_all_ended(struct bridge_user *);
bool fake_amqp_two_ended(struct bridge_user *);

#endif
