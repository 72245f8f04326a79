/* TCP and TLS under one link; see net/conn/wire.h.
 *
 *   put ─▶ clear: scatter list ─────────────▶ sendmsg   refused bytes ─▶ backlog
 *          TLS:   records (SSL_write) ─▶ emit ▶ sendmsg
 *   read ─▶ clear: data()      TLS: SSL_read from the bytes of one read(2) ─▶ data()
 *
 * OpenSSL has a BIO of this file that never blocks on writes: ciphertext goes to the shared buffer,
 * and from there, or straight from OpenSSL's record, to the socket. */
#include "net/conn/wire.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/mem.h"
#include "core/tls.h"
#include "net/conn/pair.h"

enum {
	WIRE_SMALL = 4096,        /* shorter pieces are gathered */
	WIRE_RECORD = 16384,      /* plaintext of a full TLS record */
	WIRE_READ = 128 * 1024,   /* one read(2) */
	WIRE_GATHER = 128 * 1024, /* small pieces, or ciphertext */
	WIRE_WRITE = 256 * 1024,  /* about one write */
	WIRE_IOV = 64,
	WIRE_USER_TIMEOUT_MS = 10000,
};

enum wire_state { WIRE_CONNECTING, WIRE_HANDSHAKE, WIRE_OPEN, WIRE_DEAD };

/* Used within one call of this file, or between a put and its flush. */
struct sq_wire_io {
	struct sq_wire *user; /* it has put something and not flushed yet */
	unsigned conns;       /* that use it */
	size_t gathered;
	int n_iov;
	size_t bytes;
	size_t record_len;
	/* Not initialised: a page takes memory only once a connection has needed it. */
	struct iovec iov[WIRE_IOV];        /* in the clear */
	unsigned char record[WIRE_RECORD]; /* TLS: plaintext of the next record */
	unsigned char gather[WIRE_GATHER];
	unsigned char in[WIRE_READ], plain[WIRE_READ];
};

struct sq_wire {
	struct ev_loop *loop;
	struct sq_wire_io *io;
	const struct sq_wire_events *events;
	void *owner;
	enum wire_state state;
	int fd;
	SSL *ssl;
	struct ev_io readable, writable;
	struct ev_timer stillborn; /* tells of an error that came in sq_wire_new() */
	const unsigned char *in;   /* of io->in, not yet taken by OpenSSL */
	size_t in_len;
	bool last;             /* the record being made ends the flush */
	bool told;             /* the owner knows that it is dead */
	struct sq_buf backlog; /* refused by the socket */
	char error[160];
};

struct sq_wire_io *
sq_wire_io_new(void)
{
	struct sq_wire_io *io = sq_xmalloc(sizeof *io);

	io->user = NULL;
	io->conns = 0;
	io->gathered = io->bytes = io->record_len = 0;
	io->n_iov = 0;
	return io;
}

void
sq_wire_io_free(struct sq_wire_io **iop)
{
	struct sq_wire_io *io = *iop;

	*iop = NULL;
	if (io == NULL)
		return;
	assert(io->conns == 0 && io->user == NULL);
	free(io);
}

static void SQ_PRINTF(2, 3) wire_set_error(struct sq_wire *c, const char *fmt, ...)
{
	va_list ap;

	if (c->error[0] != '\0')
		return; /* the first is the cause */
	va_start(ap, fmt);
	(void)vsnprintf(c->error, sizeof c->error, fmt, ap);
	va_end(ap);
}

/* Names the TLS failure; a refused certificate by its own reason. */
static void
wire_tls_error(struct sq_wire *c)
{
	struct sq_buf why = {0};

	sq_tls_reason(c->ssl, &why);
	wire_set_error(c, "TLS: %.*s", (int)sq_buf_len(&why), (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
}

static void
wire_die(struct sq_wire *c)
{
	if (c->state == WIRE_DEAD)
		return;
	c->state = WIRE_DEAD;
	wire_set_error(c, "connection lost");
	ev_io_stop(c->loop, &c->readable);
	ev_io_stop(c->loop, &c->writable);
	sq_buf_fini(&c->backlog);
}

static void
wire_close(struct sq_wire *c)
{
	wire_die(c);
	if (c->told)
		return;
	c->told = true;
	c->events->closed(c->owner);
}

/* Writes 'n' pieces; bytes that the socket refuses go to the backlog. */
static void
wire_writev(struct sq_wire *c, struct iovec *iov, int n)
{
	ssize_t sent = 0;
	size_t skip;

	if (c->state == WIRE_DEAD)
		return;
	if (sq_buf_len(&c->backlog) == 0) {
		struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)n};

		do {
			sent = sendmsg(c->fd, &msg, MSG_NOSIGNAL);
		} while (sent < 0 && errno == EINTR);
		if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
			wire_set_error(c, "%s", strerror(errno));
			wire_die(c);
			return;
		}
	}
	skip = sent > 0 ? (size_t)sent : 0;
	for (int i = 0; i < n; i++) {
		size_t cut = skip < iov[i].iov_len ? skip : iov[i].iov_len;

		sq_buf_append(
		    &c->backlog, (unsigned char *)iov[i].iov_base + cut, iov[i].iov_len - cut);
		skip -= cut;
	}
	if (sq_buf_len(&c->backlog) != 0)
		ev_io_start(c->loop, &c->writable);
}

/* Ciphertext from OpenSSL: one record. */
static void
wire_emit(struct sq_wire *c, const void *p, size_t len)
{
	struct iovec iov[2] = {
	    {c->io->gather, c->io->gathered},
	    {(void *)(uintptr_t)p, len},
	};

	if (c->last || c->io->gathered + len > WIRE_GATHER) {
		wire_writev(c, iov, 2);
		c->io->gathered = 0;
		return;
	}
	memcpy(c->io->gather + c->io->gathered, p, len);
	c->io->gathered += len;
}

static int
wire_bio_write(BIO *bio, const char *p, int len)
{
	struct sq_wire *c = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	assert(len >= 0 && (c->io->user == NULL || c->io->user == c));
	c->io->user = c;
	wire_emit(c, p, (size_t)len);
	return len;
}

static int
wire_bio_read(BIO *bio, char *p, int len)
{
	struct sq_wire *c = BIO_get_data(bio);
	size_t n = len > 0 ? (size_t)len : 0;

	BIO_clear_retry_flags(bio);
	if (c->in_len == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	if (n > c->in_len)
		n = c->in_len;
	memcpy(p, c->in, n);
	c->in += n;
	c->in_len -= n;
	return (int)n;
}

static long
wire_bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
	(void)bio, (void)num, (void)ptr;
	return cmd == BIO_CTRL_FLUSH;
}

/* One method for the life of the process, whose threads share it; OpenSSL has no static form of
 * it. */
static BIO_METHOD *wire_method;
static pthread_once_t wire_method_once = PTHREAD_ONCE_INIT;

static void
wire_method_make(void)
{
	wire_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "link");
	assert(wire_method != NULL);
	(void)BIO_meth_set_write(wire_method, wire_bio_write);
	(void)BIO_meth_set_read(wire_method, wire_bio_read);
	(void)BIO_meth_set_ctrl(wire_method, wire_bio_ctrl);
}

static BIO_METHOD *
wire_bio_method(void)
{
	(void)pthread_once(&wire_method_once, wire_method_make);
	return wire_method;
}

static void
wire_encrypt(struct sq_wire *c, const unsigned char *p, size_t len, bool last)
{
	while (len > 0 && c->state == WIRE_OPEN) {
		size_t n = len < WIRE_RECORD ? len : WIRE_RECORD;

		c->last = last && n == len;
		ERR_clear_error();
		if (SSL_write(c->ssl, p, (int)n) != (int)n) {
			wire_tls_error(c);
			wire_die(c);
		}
		c->last = false;
		p += n;
		len -= n;
	}
}

static void
wire_flush_record(struct sq_wire *c, bool last)
{
	size_t len = c->io->record_len;

	c->io->record_len = 0;
	wire_encrypt(c, c->io->record, len, last);
}

static void
wire_flush_iov(struct sq_wire *c)
{
	if (c->io->n_iov > 0)
		wire_writev(c, c->io->iov, c->io->n_iov);
	c->io->n_iov = 0;
	c->io->gathered = 0;
	c->io->bytes = 0;
}

static void
wire_put_clear(struct sq_wire *c, const unsigned char *p, size_t len, bool copy)
{
	struct iovec *v = &c->io->iov[c->io->n_iov];
	unsigned char *to;

	if (c->io->n_iov == WIRE_IOV || c->io->bytes + len > WIRE_WRITE ||
	    (copy && c->io->gathered + len > WIRE_GATHER)) {
		wire_flush_iov(c);
		v = &c->io->iov[0];
	}
	c->io->bytes += len;
	to = c->io->gather + c->io->gathered;
	if (!copy) {
		*v = (struct iovec){(void *)(uintptr_t)p, len};
		c->io->n_iov++;
		return;
	}
	memcpy(to, p, len);
	c->io->gathered += len;
	if (c->io->n_iov > 0 && c->io->gathered > len &&
	    (unsigned char *)v[-1].iov_base + v[-1].iov_len == to) {
		v[-1].iov_len += len;
		return;
	}
	*v = (struct iovec){to, len};
	c->io->n_iov++;
}

/* Fills records; one that is in the caller's memory as a whole is not copied. */
static void
wire_put_tls(struct sq_wire *c, const unsigned char *p, size_t len)
{
	while (len > 0) {
		size_t room = WIRE_RECORD - c->io->record_len, n = len < room ? len : room;

		if (n == WIRE_RECORD) {
			wire_encrypt(c, p, n, false);
		} else {
			memcpy(c->io->record + c->io->record_len, p, n);
			c->io->record_len += n;
			if (n == room)
				wire_flush_record(c, false);
		}
		p += n;
		len -= n;
	}
}

static void
wire_put(struct sq_wire *c, const unsigned char *p, size_t len, bool copy)
{
	assert(c->io->user == NULL || c->io->user == c);
	if (c->state != WIRE_OPEN)
		return;
	c->io->user = c;
	if (c->ssl != NULL) {
		wire_put_tls(c, p, len);
		return;
	}
	while (len > 0) {
		size_t n = copy && len > WIRE_RECORD ? WIRE_RECORD : len;

		wire_put_clear(c, p, n, copy);
		p += n;
		len -= n;
	}
}

void
sq_wire_put(struct sq_wire *c, const void *p, size_t len)
{
	wire_put(c, p, len, true);
}

void
sq_wire_put_ref(struct sq_wire *c, const void *p, size_t len)
{
	wire_put(c, p, len, len < WIRE_SMALL);
}

static int
wire_flush(struct sq_wire *c)
{
	struct iovec rest = {c->io->gather, 0};

	if (c->io->user == c) {
		if (c->ssl == NULL) {
			wire_flush_iov(c);
		} else {
			wire_flush_record(c, true);
			rest.iov_len = c->io->gathered;
			if (rest.iov_len > 0)
				wire_writev(c, &rest, 1);
		}
		c->io->gathered = 0;
		c->io->user = NULL;
	}
	return c->state == WIRE_DEAD ? SQ_EIO : 0;
}

int
sq_wire_flush(struct sq_wire *c)
{
	int err = wire_flush(c);

	if (err != 0)
		c->told = true;
	return err;
}

bool
sq_wire_blocked(const struct sq_wire *c)
{
	return sq_buf_len(&c->backlog) != 0;
}

const char *
sq_wire_error(const struct sq_wire *c)
{
	return c->error[0] != '\0' ? c->error : "connection lost";
}

static void
wire_opened(struct sq_wire *c)
{
	c->state = WIRE_OPEN;
	c->events->open(c->owner);
}

/* Goes on with the handshake; its records leave in one write. */
static void
wire_handshake(struct sq_wire *c)
{
	int rc, why;

	ERR_clear_error();
	rc = SSL_do_handshake(c->ssl);
	why = SSL_get_error(c->ssl, rc);
	if (rc != 1 && why != SSL_ERROR_WANT_READ)
		wire_tls_error(c);
	if (wire_flush(c) != 0 || (rc != 1 && why != SSL_ERROR_WANT_READ)) {
		wire_close(c);
		return;
	}
	if (rc != 1)
		return;
	if (!sq_tls_is_h2(c->ssl)) {
		wire_set_error(c, "TLS: the broker did not choose HTTP/2 (ALPN h2)");
		wire_close(c);
		return;
	}
	wire_opened(c);
}

/* Hands out all that OpenSSL can decrypt of the bytes of one read. */
static void
wire_decrypt(struct sq_wire *c)
{
	size_t have;
	int n, why = SSL_ERROR_NONE;

	do {
		have = 0;
		do {
			ERR_clear_error();
			n = SSL_read(c->ssl, c->io->plain + have, (int)(WIRE_READ - have));
			if (n <= 0)
				why = SSL_get_error(c->ssl, n);
			else
				have += (size_t)n;
		} while (n > 0 && WIRE_READ - have >= WIRE_RECORD);
		if (have > 0)
			c->events->data(c->owner, c->io->plain, have);
	} while (n > 0 && c->state == WIRE_OPEN);
	if (wire_flush(c) != 0) { /* a KeyUpdate wants its answer */
		wire_close(c);
		return;
	}
	if (why == SSL_ERROR_WANT_READ)
		return;
	if (why == SSL_ERROR_ZERO_RETURN)
		wire_set_error(c, "closed by the broker");
	else
		wire_tls_error(c);
	wire_close(c);
}

static void
wire_on_readable(EV_P_ struct ev_io *w, int revents)
{
	struct sq_wire *c = SQ_CONTAINER_OF(w, struct sq_wire, readable);
	ssize_t n = read(c->fd, c->io->in, sizeof c->io->in);

	(void)EV_A, (void)revents;
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	if (n <= 0) {
		wire_set_error(c, "%s", n == 0 ? "closed by the broker" : strerror(errno));
		wire_close(c);
		return;
	}
	if (c->ssl == NULL) {
		c->events->data(c->owner, c->io->in, (size_t)n);
		return;
	}
	c->in = c->io->in;
	c->in_len = (size_t)n;
	if (c->state == WIRE_HANDSHAKE)
		wire_handshake(c);
	if (c->state == WIRE_OPEN)
		wire_decrypt(c);
	assert(c->state == WIRE_DEAD || c->in_len == 0);
	c->in_len = 0;
}

static void
wire_connected(struct sq_wire *c)
{
	int err = 0;
	socklen_t len = sizeof err;

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0)
		err = errno;
	if (err != 0) {
		wire_set_error(c, "%s", strerror(err));
		wire_close(c);
		return;
	}
	ev_io_stop(c->loop, &c->writable);
	ev_io_start(c->loop, &c->readable);
	if (c->ssl == NULL) {
		wire_opened(c);
		return;
	}
	c->state = WIRE_HANDSHAKE;
	wire_handshake(c);
}

static void
wire_on_writable(EV_P_ struct ev_io *w, int revents)
{
	struct sq_wire *c = SQ_CONTAINER_OF(w, struct sq_wire, writable);
	ssize_t n;

	(void)EV_A, (void)revents;
	if (c->state == WIRE_CONNECTING) {
		wire_connected(c);
		return;
	}
	n = send(c->fd, sq_buf_data(&c->backlog), sq_buf_len(&c->backlog), MSG_NOSIGNAL);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	if (n < 0) {
		wire_set_error(c, "%s", strerror(errno));
		wire_close(c);
		return;
	}
	sq_buf_drain(&c->backlog, (size_t)n);
	if (sq_buf_len(&c->backlog) != 0)
		return;
	sq_buf_trim(&c->backlog, 0);
	ev_io_stop(c->loop, &c->writable);
	if (c->state == WIRE_OPEN)
		c->events->drained(c->owner);
}

static void
wire_on_stillborn(EV_P_ struct ev_timer *w, int revents)
{
	(void)EV_A, (void)revents;
	wire_close(SQ_CONTAINER_OF(w, struct sq_wire, stillborn));
}

/* The TLS side of a new connection; RFC 9525: the name that was dialled counts. */
static int
wire_tls_init(struct sq_wire *c, const struct sq_wire_cfg *cfg)
{
	BIO *bio = BIO_new(wire_bio_method());

	c->ssl = SSL_new(cfg->tls);
	if (c->ssl == NULL || bio == NULL) {
		BIO_free(bio);
		return SQ_ENOMEM;
	}
	BIO_set_data(bio, c);
	BIO_set_init(bio, 1);
	SSL_set_bio(c->ssl, bio, bio);
	SSL_set_connect_state(c->ssl);
	if (sq_pair_use(cfg->pair, c->ssl) != SQ_OK)
		return SQ_ENOMEM;
	return sq_tls_set_peer(c->ssl, cfg->server);
}

static int
wire_socket(struct sq_wire *c, const struct sq_wire_cfg *cfg)
{
	int one = 1;
	unsigned timeout = WIRE_USER_TIMEOUT_MS;

	c->fd = socket(cfg->addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return SQ_EIO;
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
	if (connect(c->fd, cfg->addr, cfg->addr_len) != 0 && errno != EINPROGRESS)
		return SQ_EIO;
	return 0;
}

struct sq_wire *
sq_wire_new(const struct sq_wire_cfg *cfg, const struct sq_wire_events *events, void *owner)
{
	struct sq_wire *c = sq_xcalloc(1, sizeof *c);

	c->loop = cfg->loop;
	c->io = cfg->io;
	c->io->conns++;
	c->events = events;
	c->owner = owner;
	ev_timer_init(&c->stillborn, wire_on_stillborn, 0., 0.);
	if (wire_socket(c, cfg) != 0) {
		wire_set_error(c, "%s", strerror(errno));
		ev_timer_start(c->loop, &c->stillborn);
	} else if (cfg->tls != NULL && wire_tls_init(c, cfg) != 0) {
		wire_set_error(c, "TLS: '%s' can't be a server's name", cfg->server);
		ev_timer_start(c->loop, &c->stillborn);
	}
	ev_io_init(&c->readable, wire_on_readable, c->fd, EV_READ);
	ev_io_init(&c->writable, wire_on_writable, c->fd, EV_WRITE);
	if (!ev_is_active(&c->stillborn))
		ev_io_start(c->loop, &c->writable);
	return c;
}

void
sq_wire_free(struct sq_wire **cp)
{
	struct sq_wire *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	assert(c->io->user != c && c->io->conns > 0);
	wire_die(c);
	ev_timer_stop(c->loop, &c->stillborn);
	SSL_free(c->ssl);
	if (c->fd >= 0)
		close(c->fd);
	c->io->conns--;
	free(c);
}
