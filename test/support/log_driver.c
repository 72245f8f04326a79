/* A driver of a shared log that a scenario holds: a command a line in, an answer a line out.
 *
 *   log_driver MODULE DEADLINE_MS [KEY=VALUE...]    KEY: a member of sq_log_postgres_cfg
 *
 *   dial | hang_up | error
 *   append NONCE EPOCH LSN SURE TEXT | claim EXPECTED NONCE HOLDER ROLL | beat NONCE SURE YIELDS
 *   read FROM BYTES | announce ID APPLIED KEPT | drop LSN
 *   begin LSN | put N ROW TEXT | done N LSN BYTES | newest | get N ROW
 *
 * TEXT of the form *N is N bytes.  Answers: DONE, REFUSED, NOT_DONE or UNKNOWN, and KEY=VALUEs; dial: OK,
 * EIO or EINVAL, and what it says. */
#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "store/postgres/cfg.h"
#include "store/shared/driver.h"

enum { WORDS = 8 };

static struct sq_log_postgres_cfg cfg = {.id = "test", .make = true};
static const struct sq_shared_ops *ops;
static struct sq_shared *conn;
static unsigned deadline_ms;

static const char *
result_name(enum sq_shared_result r)
{
	static const char *const names[] = {
	    [SQ_SHARED_DONE] = "DONE",
	    [SQ_SHARED_REFUSED] = "REFUSED",
	    [SQ_SHARED_NOT_DONE] = "NOT_DONE",
	    [SQ_SHARED_UNKNOWN] = "UNKNOWN",
	};

	return names[r];
}

static uint64_t
number(const char *word)
{
	return word != NULL ? strtoull(word, NULL, 10) : 0;
}

static void
say(enum sq_shared_result r)
{
	printf("%s", result_name(r));
	if (r != SQ_SHARED_DONE)
		printf(" %s", ops->error(conn));
}

static void
say_head(const struct sq_shared_head *h)
{
	printf(" store=%" PRIu64 " epoch=%" PRIu64 " nonce=%" PRIu64 " beats=%" PRIu64
	       " first=%" PRIu64 " last=%" PRIu64 " sure=%" PRIu64 " holder=%s link=%s copies=%u",
	    h->store, h->epoch, h->nonce, h->beats, h->first, h->last, h->sure, h->holder, h->link,
	    h->copies);
}

static bool
say_record(void *arg, uint64_t lsn, uint64_t epoch, uint64_t sure, struct sq_bytes data)
{
	(void)arg;
	printf(" %" PRIu64 ":%" PRIu64 ":%" PRIu64 ":%.*s", lsn, epoch, sure,
	    data.len <= 40 ? (int)data.len : 0, (const char *)data.p);
	if (data.len > 40)
		printf("*%zu", data.len);
	return true;
}

static void
say_peer(void *arg, const struct sq_shared_peer *p)
{
	(void)arg;
	printf(" %s:%" PRIu64 ":%" PRIu64 ":%" PRIu64 ":%s:%s:%s:%u-%u", p->id, p->applied, p->kept,
	    p->beats, p->link, p->admin, p->version, p->format_min, p->format_max);
}

static void
say_snapshot(const char *name, const struct sq_shared_snapshot *s)
{
	printf(" %s=%" PRIu64 ":%" PRIu64 ":%" PRIu64 ":%u:%02x%02x", name, s->n, s->lsn, s->bytes,
	    s->format, s->sha256[0], s->sha256[31]);
}

static void
do_dial(void)
{
	struct sq_buf err = {0};
	int e = ops->dial(&conn, &cfg, deadline_ms, &err);

	sq_buf_u8(&err, 0);
	printf("%s %s", e == SQ_OK ? "OK" : e == SQ_EIO ? "EIO" : "EINVAL", sq_buf_data(&err));
	sq_buf_fini(&err);
}

/* TEXT, in memory that lasts. */
static struct sq_bytes
text_of(const char *word)
{
	static char *made;
	size_t n;

	if (word == NULL || word[0] != '*')
		return sq_bytes_of(word != NULL ? word : "");
	n = number(word + 1);
	free(made);
	made = sq_xmalloc(n);
	memset(made, 'x', n);
	return (struct sq_bytes){(unsigned char *)made, n};
}

static void
do_log(char **w)
{
	struct sq_shared_head head = {0};
	enum sq_shared_result r;

	if (strcmp(w[0], "append") == 0)
		say(ops->append(
		    conn, number(w[1]), number(w[2]), number(w[3]), number(w[4]), text_of(w[5])));
	else if (strcmp(w[0], "claim") == 0) {
		struct sq_shared_claim claim = {
		    .expected = number(w[1]),
		    .nonce = number(w[2]),
		    .holder = w[3],
		    .link = "link:1",
		    .admin = "admin:2",
		    .roll = number(w[4]) != 0,
		};

		r = ops->claim(conn, &claim, &head);
		say(r);
		if (r == SQ_SHARED_DONE)
			say_head(&head);
	} else if (strcmp(w[0], "beat") == 0)
		say(ops->beat(conn, number(w[1]), number(w[2]), number(w[3]) != 0));
	else if (strcmp(w[0], "drop") == 0)
		say(ops->drop(conn, number(w[1])));
	else if (strcmp(w[0], "announce") == 0) {
		struct sq_shared_peer me = {
		    .link = "link:1",
		    .admin = "admin:2",
		    .version = "1",
		    .format_min = 1,
		    .format_max = 2,
		    .applied = number(w[2]),
		    .kept = number(w[3]),
		};

		(void)snprintf(me.id, sizeof me.id, "%s", w[1]);
		say(ops->announce(conn, &me, say_peer, NULL));
	} else { /* "read"; the records come before the result */
		r = ops->read(conn, number(w[1]), number(w[2]), &head, say_record, NULL);
		printf(" ");
		say(r);
		if (r == SQ_SHARED_DONE)
			say_head(&head);
	}
}

static void
do_snapshot(char **w)
{
	struct sq_shared_snapshot s = {0}, older = {0};
	struct sq_buf row = {0};
	enum sq_shared_result r;

	if (strcmp(w[0], "begin") == 0) {
		s.lsn = number(w[1]);
		s.format = 1;
		say(ops->snap_begin(conn, &s));
		printf(" n=%" PRIu64, s.n);
	} else if (strcmp(w[0], "put") == 0)
		say(ops->snap_put(conn, number(w[1]), (uint32_t)number(w[2]), text_of(w[3])));
	else if (strcmp(w[0], "done") == 0) {
		s = (struct sq_shared_snapshot){
		    .n = number(w[1]), .lsn = number(w[2]), .bytes = number(w[3]), .format = 1};
		s.sha256[0] = 0xab;
		s.sha256[31] = 0xcd;
		say(ops->snap_done(conn, &s));
	} else if (strcmp(w[0], "newest") == 0) {
		say(ops->snap_newest(conn, &s, &older));
		say_snapshot("newest", &s);
		say_snapshot("older", &older);
	} else {
		r = ops->snap_get(conn, number(w[1]), (uint32_t)number(w[2]), &row);
		say(r);
		if (r == SQ_SHARED_DONE)
			printf(" %.*s", (int)sq_buf_len(&row), (const char *)sq_buf_data(&row));
		sq_buf_fini(&row);
	}
}

static void
do_command(char *line)
{
	char *words[WORDS] = {NULL}, *left = NULL;
	size_t n = 0;

	line[strcspn(line, "\n")] = '\0';
	for (char *w = strtok_r(line, " ", &left); w != NULL && n < WORDS;
	     w = strtok_r(NULL, " ", &left))
		words[n++] = w;
	if (n == 0)
		printf("nothing");
	else if (strcmp(words[0], "dial") == 0)
		do_dial();
	else if (strcmp(words[0], "hang_up") == 0)
		ops->hang_up(&conn);
	else if (conn == NULL)
		printf("not connected");
	else if (strcmp(words[0], "error") == 0)
		printf("%s", ops->error(conn));
	else if (strchr("acdbr", words[0][0]) != NULL && strcmp(words[0], "begin") != 0 &&
	    strcmp(words[0], "done") != 0)
		do_log(words);
	else
		do_snapshot(words);
	printf("\n");
	fflush(stdout);
}

static bool
configure(const char *key, const char *value)
{
	const struct {
		const char *key;
		const char **text;
		bool *flag;
	} keys[] = {
	    {"hosts", &cfg.hosts, NULL},
	    {"database", &cfg.database, NULL},
	    {"user", &cfg.user, NULL},
	    {"password_file", &cfg.password_file, NULL},
	    {"schema", &cfg.schema, NULL},
	    {"ca_file", &cfg.ca_file, NULL},
	    {"cert_file", &cfg.cert_file, NULL},
	    {"key_file", &cfg.key_file, NULL},
	    {"unsafe", NULL, &cfg.unsafe},
	    {"managed", NULL, &cfg.managed},
	    {"make", NULL, &cfg.make},
	};

	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		size_t n = strlen(keys[i].key);

		if (strncmp(key, keys[i].key, n) != 0 || key[n] != '=')
			continue;
		if (keys[i].text != NULL)
			*keys[i].text = value;
		else
			*keys[i].flag = strcmp(value, "true") == 0;
		return true;
	}
	return false;
}

int
main(int argc, char **argv)
{
	const struct sq_shared_module *module;
	char *line = NULL;
	size_t room = 0;
	void *loaded;

	if (argc < 3 || (loaded = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL)) == NULL) {
		fprintf(stderr, "%s\n", argc < 3 ? "usage: log_driver MODULE MS" : dlerror());
		return 1;
	}
	module = dlsym(loaded, SQ_SHARED_MODULE_SYMBOL);
	if (module == NULL || module->version != SQ_SHARED_MODULE_VERSION)
		return 1;
	ops = module->ops;
	deadline_ms = (unsigned)number(argv[2]);
	for (int i = 3; i < argc; i++) {
		const char *value = strchr(argv[i], '=');

		if (value == NULL || !configure(argv[i], value + 1)) {
			fprintf(stderr, "what is %s?\n", argv[i]);
			return 1;
		}
	}
	while (getline(&line, &room, stdin) > 0)
		do_command(line);
	free(line);
	ops->hang_up(&conn);
	return 0;
}
