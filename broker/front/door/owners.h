/* The addresses of the broker that owns the state (port/place.h), looked up by getaddrinfo() on a
 * thread beside the workers, one at a time.  Nothing here blocks.  Thread: any.  Locks: one, inside. */
#ifndef SQ_BROKER_FRONT_DOOR_OWNERS_H
#define SQ_BROKER_FRONT_DOOR_OWNERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "broker/front/door/door.h"
#include "broker/front/door/stranger.h"

enum { SQ_OWNERS_MAX = 4 }; /* addresses; further ones are ignored */

struct sq_owners;

struct sq_owner_addresses {
	struct sockaddr_storage v[SQ_OWNERS_MAX];
	socklen_t len[SQ_OWNERS_MAX];
	unsigned n;
};

/* The strings outlive it. */
struct sq_owners *sq_owners_new(const struct sq_door_passing *);
/* Nulls the pointer, which may be NULL.  A lookup that hangs keeps what it needs. */
void sq_owners_free(struct sq_owners **);
/* Looks the owner up where that is due; called some times a second while the door stands by. */
void sq_owners_tick(struct sq_owners *, uint64_t now_ms);
/* False: no other broker is known to own, or not where it is. */
bool sq_owners_get(struct sq_owners *, struct sq_owner_addresses *out);
/* The addresses do not answer: they are looked up anew soon. */
void sq_owners_doubt(struct sq_owners *);

/* An address as IPv6, zeros for another kind. */
void sq_owners_map(const struct sockaddr_storage *, unsigned char out[SQ_STRANGER_ADDRESS_SIZE]);
bool sq_owners_have(
    const struct sq_owner_addresses *, const unsigned char address[SQ_STRANGER_ADDRESS_SIZE]);

#endif
