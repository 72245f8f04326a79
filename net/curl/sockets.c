/* Open sockets, by their descriptors: libcurl tells of the end of one that was connected, but one whose
 * connection did not come about it closes without a word.  Such a one is known by its descriptor's being
 * none any more, or another socket's. */
#include <assert.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "net/curl/out_priv.h"

struct out_socket {
	struct sq_hnode node;
	int fd;
	ino_t inode;
	struct sq_out_name *name;
};

static struct out_socket *
socket_find(struct sq_out *o, int fd)
{
	struct sq_hnode *h = sq_htab_find(&o->sockets, sq_hash_u64((uint64_t)fd));

	for (; h != NULL; h = sq_htab_next_same(h)) {
		struct out_socket *s = SQ_CONTAINER_OF(h, struct out_socket, node);

		if (s->fd == fd)
			return s;
	}
	return NULL;
}

static void
socket_drop(struct sq_out *o, struct out_socket *s)
{
	if (s == NULL)
		return;
	sq_htab_remove(&o->sockets, &s->node);
	sq_out_name_connected(s->name, -1);
	free(s);
}

static ino_t
socket_inode(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

void
sq_out_socket_opened(struct sq_out *o, int fd, struct sq_out_name *name)
{
	struct out_socket *s = sq_xcalloc(1, sizeof *s);

	socket_drop(o, socket_find(o, fd));
	s->fd = fd;
	s->inode = socket_inode(fd);
	s->name = name;
	sq_htab_insert(&o->sockets, &s->node, sq_hash_u64((uint64_t)fd));
	sq_out_name_connected(name, 1);
}

void
sq_out_socket_closed(struct sq_out *o, int fd)
{
	socket_drop(o, socket_find(o, fd));
}

void
sq_out_socket_check(struct sq_out *o, int fd)
{
	struct out_socket *s = socket_find(o, fd);

	if (s != NULL && socket_inode(fd) != s->inode)
		socket_drop(o, s);
}

void
sq_out_sockets_clear(struct sq_out *o)
{
	struct sq_hnode *h = sq_htab_walk(&o->sockets, NULL);

	while (h != NULL) {
		struct out_socket *s = SQ_CONTAINER_OF(h, struct out_socket, node);

		h = sq_htab_walk(&o->sockets, h);
		socket_drop(o, s);
	}
	assert(atomic_load(&o->n_connections) == 0);
	sq_htab_fini(&o->sockets);
}
