/* Entries of a disk outbox, and their layout in the journal.
 *
 * A record is a sequence of entries, each: u8 kind, u8 flags, u16 packet id, u32 size of the
 * entry, then
 *   message:  u64 sequence, u64 bytes of all messages up to it, bytes16 client
 *             id, image.  Flag 1: its packet id is held
 *   release, forget:  bytes16 client id
 *   again:    nothing; only the order of acknowledgements needs it
 *   state:    see state.h
 *
 * Pure. */
#ifndef SQ_SIDECAR_OUTBOX_ENTRY_H
#define SQ_SIDECAR_OUTBOX_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/list.h"
#include "core/msg.h"
#include "proto/link/lane_out.h"
#include "store/log.h"

struct sq_outbox_port;

/* Stored: never renumber one. */
enum sq_outbox_kind {
	SQ_OUTBOX_MESSAGE = 1,
	SQ_OUTBOX_RELEASE = 2,
	SQ_OUTBOX_FORGET = 3,
	SQ_OUTBOX_STATE = 4,
	SQ_OUTBOX_AGAIN = 5,
};

enum {
	SQ_OUTBOX_HOLDS = 1,           /* flag of a message */
	SQ_OUTBOX_ENTRY_HEADER = 8,    /* kind, flags, packet id, size */
	SQ_OUTBOX_MESSAGE_HEADER = 18, /* sequence, bytes, length of the client id */
};

/* The progress of an entry's message. */
enum sq_outbox_way {
	SQ_OUTBOX_WAITS, /* not sent under its number yet, or to be sent again */
	SQ_OUTBOX_FLIES,
	SQ_OUTBOX_REFUSED, /* for a while; sent again later */
	SQ_OUTBOX_DONE,
};

/* Made by entry.c with what its bytes say, then the store's until it is synced, and the sender's
 * from sq_outbox_send_load() on. */
struct sq_outbox_entry {
	struct sq_log_entry journal; /* the journal's, then in a list of the store or the sender */
	/* store.c */
	struct sq_list mine; /* its port's pending */
	struct sq_list all;  /* store->appended, until synced */
	struct sq_outbox_port *port;
	uint64_t low;          /* of a state: records from here on are needed */
	uint64_t first_number; /* of a state: that of the first message in it */
	uint64_t done_bytes;   /* of a state: of all messages before that one */
	bool gates;            /* a state that sending waits for */
	/* store_open.c, on the journal's thread; entry.c for one that is read back. */
	uint64_t lsn;
	/* send.c */
	uint64_t number;
	uint8_t way;   /* enum sq_outbox_way */
	bool dropped;  /* refused for good: only its number is sent */
	bool answered; /* it had an outcome, possibly a refusal */
	/* entry.c; 'qos' of one without a message: store.c. */
	uint64_t seq, end;
	uint32_t size, image; /* of the entry; where the image starts */
	uint16_t packet_id;
	uint8_t kind, qos; /* for the acknowledgement */
	unsigned char bytes[];
};

/* Makes an entry of 'size' bytes.  The caller frees it, unless it goes into a list whose owner
 * does. */
struct sq_outbox_entry *sq_outbox_entry_new(enum sq_outbox_kind, uint16_t packet_id, size_t size);
/* Makes an entry about a packet id (0: none) of a client. */
struct sq_outbox_entry *
sq_outbox_entry_of(enum sq_outbox_kind, uint16_t packet_id, const char *client_id);
/* Makes the entry of a message.  'seq' and 'end' are those of the sequence up to the entry
 * before. */
struct sq_outbox_entry *sq_outbox_entry_message(
    const char *client_id, const struct sq_lane_publish *, uint64_t seq, uint64_t end);
/* Makes an entry from the 'size' bytes of a message in record 'lsn'; NULL: malformed. */
struct sq_outbox_entry *sq_outbox_entry_read(const unsigned char *p, size_t size, uint64_t lsn);
/* Removes the entry from its lists and frees it. */
void sq_outbox_entry_free(struct sq_outbox_entry *);

/* The size of the entry at 'p', where 'left' bytes are readable; 0: malformed. */
size_t sq_outbox_entry_size(const unsigned char *p, size_t left);
/* Fills in the client id of an entry and returns the offset behind it; 0: malformed. */
size_t sq_outbox_entry_client(const unsigned char *p, size_t size, struct sq_bytes *client);
/* The size of a message's entry. */
size_t sq_outbox_entry_message_size(const char *client_id, const struct sq_lane_publish *);

#endif
