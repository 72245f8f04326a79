/* One app of the torture run: an MQTT client that publishes or subscribes, and
 * writes a ledger of it.
 *
 * The ledger is a text file of lines that are written one by one, each before
 * what it speaks of can have an effect (a publish before it is sent, a message
 * before it is acknowledged).  It is at once the client's persistent session
 * state: an app that was killed reads it and goes on.  ledger.py has the lines. */
#ifndef SQ_TORTURE_APP_H
#define SQ_TORTURE_APP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	APP_STREAMS = 4, /* of a publisher: topic and numbers of QoS 0 to 3 */
	APP_PAYLOAD_MAX = 1 << 16,
	APP_FLIGHTS_MAX = 1024,
	APP_HANDS_MAX = 256,
	APP_QUEUE_MAX = 128, /* bytes of a dead letter's queue, with its end */
	APP_BUFFER_MAX = 4 << 20,
	APP_FILTERS_MAX = 4,  /* that it turns to and from */
	APP_TURNS_MAX = 8,    /* unanswered SUBSCRIBEs and UNSUBSCRIBEs */
	APP_ID_FIRST = 65100, /* packet ids of these; publishes are below 65001 */
	APP_ID_LAST = 65499,
};

/* MQTT packet types. */
enum {
	CONNECT = 1,
	CONNACK,
	PUBLISH,
	PUBACK,
	PUBREC,
	PUBREL,
	PUBCOMP,
	SUBSCRIBE,
	SUBACK,
	UNSUBSCRIBE,
	UNSUBACK,
	DISCONNECT = 14,
};

struct app_opts {
	bool publisher;
	bool transient;
	int port;
	int version; /* 4 or 5 */
	const char *id;
	const char *root;                  /* of the topics that it publishes to */
	const char *filter;                /* NULL: a declared subscription is all */
	const char *turn[APP_FILTERS_MAX]; /* a publisher's: what it subscribes to and
					    * unsubscribes from while it publishes */
	unsigned n_turn, turn_rate;        /* how often in a second */
	int qos;
	unsigned number; /* of the publisher, in its payloads */
	unsigned rate;   /* publishes per second */
	unsigned window; /* unfinished ones of a stream */
	unsigned max_size;
	int only;             /* the only stream that it publishes; -1: all */
	bool keyed;           /* QoS 3 messages have a key */
	bool willed;          /* has a will: number 1 of stream 2 */
	bool end;             /* is to come to its end at once */
	unsigned receive_max; /* of version 5; 0: the standard's */
	unsigned hold_ms; /* how long it has a message in its hands before it is in the ledger */
	unsigned
	    linger_ms; /* how long what is to be sent gathers, so that a kill finds it unsent */
	const char *ledger;
};

/* A publish of QoS 1 and above that is not finished. */
struct app_flight {
	uint16_t id;
	uint8_t stream;
	bool received;  /* PUBREC has come */
	bool sent;      /* over an older connection of this session */
	uint8_t reason; /* PUBREC's */
	uint32_t number;
};

/* Which message an inbound QoS 2 packet id stands for, until PUBREL. */
struct app_held {
	bool held;
	uint8_t stream;
	unsigned publisher;
	uint32_t number;
};

struct app_message {
	int qos;
	bool dup;
	uint16_t id;
	unsigned publisher, stream;
	uint32_t number;
	/* of a dead letter; "" of others */
	char queue[APP_QUEUE_MAX], reason[16];
};

/* A message that the app has and has neither in its ledger nor acknowledged. */
struct app_hand {
	struct app_message message;
	uint64_t due_us;
};

/* A SUBSCRIBE or an UNSUBSCRIBE without an answer. */
struct app_turn {
	uint16_t id;
	bool on;       /* SUBSCRIBE */
	unsigned mask; /* bits of opts.turn */
};

struct app {
	struct app_opts o;
	int ledger;
	/* the connection */
	int fd;         /* -1: none */
	bool connected; /* CONNACK has come */
	unsigned char *in, *out;
	size_t in_n, out_n, out_done;
	/* the session */
	bool subscribed; /* SUBACK has come */
	bool stopping;   /* asked to come to an end */
	bool ending;     /* the last connection, which ends the session */
	bool ended;
	struct app_held *held;
	struct app_hand hands[APP_HANDS_MAX]; /* in the order of arrival */
	size_t n_hands;
	struct app_flight flights[APP_FLIGHTS_MAX]; /* in the order of sending */
	size_t n_flights;
	size_t in_window[APP_STREAMS];
	uint32_t next[APP_STREAMS];
	uint16_t next_id;
	uint64_t rng;
	double due;                           /* publishes */
	struct app_turn turns[APP_TURNS_MAX]; /* in the order of sending */
	size_t n_turns;
	unsigned on; /* bits of opts.turn: what was asked for last */
	uint16_t turn_id;
	double due_turns;
	bool rests; /* it was asked to come to rest, and all is answered */
	uint64_t last_us;
	uint64_t flushed_us;
};

/* --- options.c --- */

/* Fills the options; exits with the usage on an error. */
void app_options(struct app_opts *, int argc, char **argv);

/* --- wire.c: packets, on the buffer 'out' of the app --- */

uint64_t app_now_us(void);
/* The payload of a message, the same each time; returns its size. */
size_t app_payload(
    unsigned publisher, unsigned stream, uint32_t number, unsigned max_size, unsigned char *out);

void app_send_connect(struct app *, bool clean);
void app_send_subscribe(struct app *);
void app_send_turn(struct app *, const struct app_turn *);
void app_send_publish(struct app *, const struct app_flight *, bool dup);
void app_send_ack(struct app *, int type, uint16_t id);
void app_send_disconnect(struct app *);

struct app_packet {
	int type, flags;
	const unsigned char *body;
	size_t n;
};

/* Takes the packet at the head of the bytes.  Returns its size, 0 when more bytes are needed,
 * -1 when it is none. */
long app_packet_next(const unsigned char *bytes, size_t n, struct app_packet *out);

/* Reads a PUBLISH.  False when its payload is not one that was published. */
bool app_message_read(const struct app *, const struct app_packet *, struct app_message *out);

/* --- ledger.c --- */

/* Opens the ledger and takes up what it says; exits on an error. */
void app_ledger_open(struct app *);
void app_ledger(struct app *, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --- session.c: what the ledger and the wire both change --- */

struct app_flight *app_flight_add(struct app *, uint16_t id, unsigned stream, uint32_t number);
struct app_flight *app_flight_find(struct app *, uint16_t id);
void app_flight_remove(struct app *, struct app_flight *);
/* A new session at the server: nothing is held. */
void app_session_new(struct app *);
/* Publishes a new message of that stream, if its window has room. */
void app_publish_one(struct app *, unsigned stream);
uint64_t app_random(struct app *);

/* --- turns.c: subscribing and unsubscribing while it publishes --- */

/* As often as 'us' microseconds ask for. */
void app_turns(struct app *, uint64_t us);
/* The session is there again: what had no answer is asked once more. */
void app_turns_again(struct app *);
/* SUBACK or UNSUBACK. */
void app_turns_answer(struct app *, const struct app_packet *);
/* What the ledger of an older life says. */
void app_turns_asked(struct app *, const struct app_turn *);
void app_turns_answered(struct app *, uint16_t id);
void app_turns_none(struct app *);

#endif
