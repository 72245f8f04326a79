/* The users of a password file; see sidecar/mqtt/password.h. */
#include "sidecar/mqtt/password.h"

#include <crypt.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/htab.h"
#include "core/mem.h"
#include "core/utf8.h"

enum { PROBLEMS_MAX = 10 }; /* lines that are named; of more their number is */

/* The hash for an unknown user while the file has no users. */
#define NOBODYS_HASH \
	"$6$nobodyhasit$O4oAwdvTeGGddnEhKiqijYNUbLbJI.Tl62pJxEV4OdJ8rMNitOu68oQFqee34ort8AM1TSi" \
	"SUW7/DGNyuksGz."

struct user {
	struct sq_hnode node;
	char *name, *hash;
	size_t len; /* of the name */
};

/* The users of one state of the file. */
struct users {
	struct sq_htab by_name;
	struct user **v; /* in the order of their lines */
	size_t n, cap;
};

struct sq_passwords {
	char *file;
	struct sq_file_stamp stamp; /* of what was read last, taken or not */
	struct users users;
	struct crypt_data *work; /* wiped after each use */
};

/* --- hashes --- */

/* The number of characters of each method's hash.  Only libcrypt checks methods that are not
 * listed, and it reads no more than the beginning. */
static const struct {
	const char *prefix;
	size_t hash_len, whole_len; /* the latter 0: any */
} password_methods[] = {
    {"$y$", 43, 0},
    {"$gy$", 43, 0},
    {"$7$", 43, 0},
    {"$2a$", 53, 60},
    {"$2b$", 53, 60},
    {"$2x$", 53, 60},
    {"$2y$", 53, 60},
    {"$6$", 86, 0},
    {"$5$", 43, 0},
    {"$sha1$", 28, 0},
    {"$1$", 22, 0},
    {"$3$", 32, 0},
};

static bool
hash_chars(const char *p)
{
	for (; *p != '\0'; p++) {
		if (*p <= ' ' || *p > '~' || strchr(":;*!\\", *p) != NULL)
			return false;
	}
	return true;
}

/* mosquitto_passwd's own format, which is not crypt(3)'s though it begins alike: the parts
 * behind the method are base64, with '=' or '+' in them, or rounds of PBKDF2. */
static bool
hash_of_mosquitto(const char *hash)
{
	size_t rounds;

	if (strncmp(hash, "$argon2", 7) == 0)
		return true;
	if (strncmp(hash, "$6$", 3) == 0)
		return strchr(hash + 3, '=') != NULL && strncmp(hash + 3, "rounds=", 7) != 0;
	if (strncmp(hash, "$7$", 3) != 0)
		return false;
	rounds = strspn(hash + 3, "0123456789");
	return rounds > 0 && hash[3 + rounds] == '$' && strchr(hash + 4 + rounds, '$') != NULL;
}

static bool
hash_is_whole(const char *hash)
{
	const char *last = strrchr(hash, '$');
	size_t len = strlen(hash);

	for (size_t i = 0; i < SQ_ARRAY_LEN(password_methods); i++) {
		if (strncmp(hash, password_methods[i].prefix, strlen(password_methods[i].prefix)) ==
		    0)
			return strlen(last + 1) == password_methods[i].hash_len &&
			    (password_methods[i].whole_len == 0 ||
				len == password_methods[i].whole_len);
	}
	if (hash[0] == '_')
		return len == 20;
	return hash[0] == '$' || len == 13; /* the oldest: DES */
}

const char *
sq_password_hash_problem(const char *hash)
{
	int salt;

	if (hash[0] == '\0')
		return "no hash behind the colon";
	if (hash_of_mosquitto(hash))
		return "a hash in the own format of mosquitto_passwd, which crypt(3) does not "
		       "know; "
		       "openssl passwd -6 makes one that it does";
	if (!hash_chars(hash) || strlen(hash) >= CRYPT_OUTPUT_SIZE || !hash_is_whole(hash))
		return "not a hash of crypt(3)";
	salt = crypt_checksalt(hash);
	if (salt == CRYPT_SALT_INVALID || salt == CRYPT_SALT_METHOD_DISABLED)
		return "a hash of a method that crypt(3) does not know here";
	return NULL;
}

/* --- the file --- */

static void
users_fini(struct users *u)
{
	for (size_t i = 0; i < u->n; i++) {
		free(u->v[i]->name);
		explicit_bzero(u->v[i]->hash, strlen(u->v[i]->hash));
		free(u->v[i]->hash);
		free(u->v[i]);
	}
	sq_htab_fini(&u->by_name);
	free(u->v);
	*u = (struct users){0};
}

static struct user *
users_find(const struct users *u, const void *name, size_t len)
{
	struct sq_hnode *n = sq_htab_find(&u->by_name, sq_hash(name, len));

	for (; n != NULL; n = sq_htab_next_same(n)) {
		struct user *user = SQ_CONTAINER_OF(n, struct user, node);

		if (user->len == len && memcmp(user->name, name, len) == 0)
			return user;
	}
	return NULL;
}

static void
users_add(struct users *u, const char *name, size_t len, char *hash)
{
	struct user *user = sq_xcalloc(1, sizeof *user);

	*user = (struct user){.name = sq_xmemdup0(name, len), .hash = hash, .len = len};
	if (u->n == u->cap) {
		u->cap = u->cap == 0 ? 16 : u->cap * 2;
		u->v = sq_xrealloc(u->v, u->cap * sizeof(struct user *));
	}
	u->v[u->n++] = user;
	sq_htab_insert(&u->by_name, &user->node, sq_hash(name, len));
}

/* Takes one line; returns what is wrong with it, or NULL. */
static const char *
users_line(struct users *u, const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len), *why;
	char *hash;
	size_t name;

	if (memchr(line, '\0', len) != NULL || !sq_utf8_valid(line, len))
		return "not text in UTF-8";
	if (colon == NULL)
		return "no colon between user and hash";
	name = (size_t)(colon - line);
	if (name == 0)
		return "no user before the colon";
	if (name > SQ_PASSWORD_USER_MAX)
		return "the user's name has more than 1024 bytes";
	if (users_find(u, line, name) != NULL)
		return "the user has a line already";
	hash = sq_xmemdup0(colon + 1, len - name - 1);
	why = sq_password_hash_problem(hash);
	if (why != NULL) {
		free(hash);
		return why;
	}
	users_add(u, line, name, hash);
	return NULL;
}

/* Takes the whole text; SQ_EINVAL with the bad lines in 'err'. */
static int
users_read(struct users *u, const char *file, const struct sq_buf *text, struct sq_buf *err)
{
	const char *p = (const char *)sq_buf_data(text), *end = p + sq_buf_len(text);
	unsigned number = 1, bad = 0;

	for (; p < end; number++) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t len = (size_t)((nl != NULL ? nl : end) - p);
		size_t used = nl != NULL ? len + 1 : len;
		const char *why = NULL;

		if (len > 0 && p[len - 1] == '\r')
			len--;
		if (len > 0 && p[0] != '#')
			why = users_line(u, p, len);
		p += used;
		if (why == NULL || bad++ >= PROBLEMS_MAX)
			continue;
		if (bad == 1)
			sq_buf_printf(err, SQ_PASSWORD_KEY ": %s: ", file);
		sq_buf_printf(err, "%sline %u: %s", bad == 1 ? "" : "; ", number, why);
	}
	if (bad > PROBLEMS_MAX)
		sq_buf_printf(err, "; and %u lines more", bad - PROBLEMS_MAX);
	return bad > 0 ? SQ_EINVAL : 0;
}

/* Reads the file; its users replace those so far, or an error stays without effect. */
static int
passwords_load(struct sq_passwords *p, struct sq_buf *err)
{
	struct users users = {0};
	struct sq_buf text = {0};
	int rc = sq_file_read(p->file, SQ_PASSWORD_FILE_MAX, &text);

	if (rc == 0)
		rc = users_read(&users, p->file, &text, err);
	else
		sq_buf_printf(err, SQ_PASSWORD_KEY ": %s: %s", p->file, sq_file_reason(rc));
	sq_buf_wipe(&text);
	if (rc == 0) {
		users_fini(&p->users);
		p->users = users;
	} else {
		users_fini(&users);
	}
	return rc;
}

struct sq_passwords *
sq_passwords_open(const char *file, struct sq_buf *err)
{
	struct sq_passwords *p = sq_xcalloc(1, sizeof *p);

	p->file = sq_xstrdup(file);
	p->work = sq_xcalloc(1, sizeof *p->work);
	sq_file_stamp(file, &p->stamp);
	if (passwords_load(p, err) != 0)
		sq_passwords_free(&p);
	return p;
}

void
sq_passwords_free(struct sq_passwords **pp)
{
	struct sq_passwords *p = *pp;

	*pp = NULL;
	if (p == NULL)
		return;
	users_fini(&p->users);
	free(p->work);
	free(p->file);
	free(p);
}

bool
sq_passwords_refresh(struct sq_passwords *p, struct sq_buf *err)
{
	struct sq_file_stamp stamp;

	sq_file_stamp(p->file, &stamp);
	if (sq_file_stamp_equal(&stamp, &p->stamp))
		return false;
	p->stamp = stamp;
	return passwords_load(p, err) == 0;
}

size_t
sq_passwords_users(const struct sq_passwords *p)
{
	return p->users.n;
}

/* --- a check --- */

/* A hash of the same cost for an unknown user: always the same for one name, with the methods of
 * the file in their proportion. */
static const char *
passwords_dummy(const struct sq_passwords *p, struct sq_bytes user)
{
	if (p->users.n == 0)
		return NOBODYS_HASH;
	return p->users.v[sq_hash(user.p, user.len) % p->users.n]->hash;
}

bool
sq_passwords_match(struct sq_passwords *p, struct sq_bytes user, struct sq_bytes password)
{
	const struct user *u = users_find(&p->users, user.p, user.len);
	/* crypt(3) would take what stands before a NUL for the whole. */
	bool possible = u != NULL && password.len <= SQ_PASSWORD_MAX &&
	    (password.len == 0 || memchr(password.p, '\0', password.len) == NULL);
	const char *want = u != NULL ? u->hash : passwords_dummy(p, user);
	char phrase[SQ_PASSWORD_MAX + 1] = "";
	const char *got;
	size_t len;
	bool good;

	if (password.len > 0 && password.len <= SQ_PASSWORD_MAX)
		memcpy(phrase, password.p, password.len);
	memset(p->work, 0, sizeof *p->work);
	got = crypt_rn(phrase, want, p->work, (int)sizeof *p->work);
	len = strlen(want);
	good = got != NULL && strlen(got) == len && sq_secret_equal(got, want, len) && possible;
	explicit_bzero(phrase, sizeof phrase);
	explicit_bzero(p->work, sizeof *p->work);
	return good;
}
