/* Configuration: the layers and their order; see core/config.h.  YAML is read
 * in config_yaml.c, values are parsed in config_value.c, keys are
 * found in config_table.c. */
#include "core/config.h"

#include <stdlib.h>
#include <string.h>

#include "core/config_priv.h"
#include "core/fault.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/suggest.h"

#define CONFIG_FILE_MAX (1u << 20)
#define CONFIG_NAME_MAX ((size_t)SQ_SUGGEST_MAX)
#define ENV_PREFIX "SQMQOS_"

/* Sets a value from one text; records are YAML in it. */
static int
config_set(const struct sq_config_load *l, const struct sq_config_key *k, const char *text)
{
	return k->type == SQ_CFG_RECORDS || k->type == SQ_CFG_NAMED
	    ? sq_config_yaml_records(l, k, text)
	    : sq_config_set(l->cfg, k, text, l->err);
}

/* ---- environment ---- */

static char
env_letter(char c)
{
	return c == '.' || c == '-' ? '_' : c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static void
env_spell(struct sq_buf *out, const char *name, size_t len)
{
	sq_buf_printf(out, ENV_PREFIX);
	for (size_t i = 0; i < len; i++)
		sq_buf_u8(out, (uint8_t)env_letter(name[i]));
}

static const struct sq_config_key *
env_find(const struct sq_config_load *l, const char *name, size_t len)
{
	for (size_t i = 0; i < l->n; i++) {
		const char *key = l->keys[i].name;
		size_t at = 0;

		if (sq_config_is_inner(&l->keys[i]))
			continue;
		while (at < len && key[at] != '\0' && env_letter(key[at]) == name[at])
			at++;
		if (at == len && key[at] == '\0')
			return &l->keys[i];
	}
	return NULL;
}

static bool
env_ends_with(const char *name, size_t len, const char *end)
{
	size_t n = strlen(end);

	return len >= n && memcmp(name + len - n, end, n) == 0;
}

/* Kubernetes puts a set of variables for each Service into every container of
 * the namespace; those of a Service whose name is "sqmqos", or starts with
 * "sqmqos-", look like ours and must not stop us.  'name' is behind the prefix. */
static bool
env_is_service_link(const char *name, size_t len, const char *value)
{
	static const char *const ends[] = {"_SERVICE_HOST", "_SERVICE_PORT", "_TCP", "_TCP_PROTO",
	    "_TCP_PORT", "_TCP_ADDR", "_UDP", "_UDP_PROTO", "_UDP_PORT", "_UDP_ADDR"};

	name--; /* the prefix ends with '_' */
	len++;
	if (env_ends_with(name, len, "_PORT") &&
	    (strncmp(value, "tcp://", 6) == 0 || strncmp(value, "udp://", 6) == 0))
		return true;
	for (size_t i = 0; i < SQ_ARRAY_LEN(ends); i++)
		if (env_ends_with(name, len, ends[i]))
			return true;
	return memmem(name, len, "_SERVICE_PORT_", 14) != NULL;
}

static bool
env_is_among(const char *const *names, size_t n, const char *name, size_t len)
{
	for (size_t i = 0; i < n; i++)
		if (len == strlen(names[i]) && memcmp(name, names[i], len) == 0)
			return true;
	return false;
}

/* Variables that are no keys: the file's own, those of the command line, which stand in the same
 * shell, and those of tests.  'name' is behind the prefix. */
static bool
env_is_no_key(const char *name, size_t len)
{
	static const char *const names[] = {"CONFIG", "ADMIN", "URL", "TOKEN_FILE", "CA_FILE"};
	static const char *const tests[] = {"FAULT", "HISTORY", "BROKEN", "RECORDS"};

	return env_is_among(names, SQ_ARRAY_LEN(names), name, len) ||
	    (SQ_FAULT_POINTS && env_is_among(tests, SQ_ARRAY_LEN(tests), name, len));
}

/* '_' stands for both '.' and '-', so spellings are compared as variables. */
static void
env_unknown(const struct sq_config_load *l, const char *name, size_t len)
{
	struct sq_suggest s = sq_suggest_start(name, len);
	char var[CONFIG_NAME_MAX + 1];

	sq_buf_printf(l->err, "environment: " ENV_PREFIX "%.*s: unknown variable",
	    len < CONFIG_NAME_MAX ? (int)len : (int)CONFIG_NAME_MAX, name);
	for (size_t i = 0; i < l->n; i++) {
		const char *key = l->keys[i].name;
		size_t klen = strlen(key);

		if (sq_config_is_inner(&l->keys[i]))
			continue;
		for (size_t j = 0; j < klen; j++)
			var[j] = env_letter(key[j]);
		sq_suggest_offer(&s, var, klen, key, klen);
	}
	if (s.best == NULL)
		return;
	sq_buf_printf(l->err, ", did you mean ");
	env_spell(l->err, s.best, s.best_len);
	sq_buf_printf(l->err, "?");
}

static int
config_env(const struct sq_config_load *l, char **envp)
{
	for (; envp != NULL && *envp != NULL; envp++) {
		const char *name = *envp + strlen(ENV_PREFIX), *value;
		const struct sq_config_key *k;
		size_t len;

		if (strncmp(*envp, ENV_PREFIX, strlen(ENV_PREFIX)) != 0)
			continue;
		value = strchr(name, '=');
		if (value == NULL)
			continue;
		len = (size_t)(value++ - name);
		if (env_is_no_key(name, len))
			continue;
		k = env_find(l, name, len);
		if (k == NULL) {
			if (env_is_service_link(name, len, value))
				continue;
			env_unknown(l, name, len);
			return SQ_EINVAL;
		}
		sq_buf_printf(l->err, "environment: ");
		env_spell(l->err, k->name, strlen(k->name));
		sq_buf_printf(l->err, ": ");
		if (config_set(l, k, value) != 0)
			return SQ_EINVAL;
		l->err->end = l->err->start; /* nothing was wrong: take the prefix back */
	}
	return 0;
}

/* ---- flags ---- */

struct flag {
	char name[CONFIG_NAME_MAX + 1];
	const char *value;
};

static void
flag_spell(struct sq_buf *out, const char *name, size_t len)
{
	sq_buf_printf(out, "--%.*s", (int)len, name);
}

/* Splits "--key=value" or "--key value" at '*at' and steps over it. */
static int
flag_next(const struct sq_config_load *l, int argc, char **argv, int *at, struct flag *f)
{
	const char *arg = argv[*at], *eq = strchr(arg, '=');
	size_t len;

	if (strncmp(arg, "--", 2) != 0 || arg[2] == '\0' || arg[2] == '=') {
		sq_buf_printf(l->err, "arguments: unexpected ");
		sq_config_quote(l->err, arg);
		return SQ_EINVAL;
	}
	arg += 2;
	len = eq != NULL ? (size_t)(eq - arg) : strlen(arg);
	if (len > CONFIG_NAME_MAX)
		len = CONFIG_NAME_MAX; /* no key is that long */
	memcpy(f->name, arg, len);
	f->name[len] = '\0';
	f->value = eq != NULL ? eq + 1 : ++*at < argc ? argv[*at] : NULL;
	++*at;
	return 0;
}

static const struct sq_config_key *
flag_find(const struct sq_config_load *l, const char *name)
{
	const struct sq_config_key *k = sq_config_find(l, name);

	return k != NULL && !sq_config_is_inner(k) ? k : NULL;
}

/* Sets the flags, or with 'config' only looks for --config. */
static int
config_flags(const struct sq_config_load *l, int argc, char **argv, const char **config)
{
	bool *given = sq_xcalloc(l->n + 1, sizeof *given);
	int at = 1, err = 0;
	struct flag f;

	while (at < argc && (err = flag_next(l, argc, argv, &at, &f)) == 0) {
		const struct sq_config_key *k = flag_find(l, f.name);
		bool is_config = strcmp(f.name, "config") == 0;
		size_t i = is_config ? l->n : k != NULL ? (size_t)(k - l->keys) : 0;

		err = SQ_EINVAL;
		sq_buf_printf(l->err, "--%s: ", f.name);
		if (k == NULL && !is_config) {
			sq_buf_printf(l->err, "unknown flag");
			sq_config_suggest(l, f.name, flag_spell);
			break;
		}
		if (f.value == NULL || given[i]) {
			sq_buf_printf(l->err, "%s", given[i] ? "given twice" : "needs a value");
			break;
		}
		given[i] = true;
		if (is_config) {
			if (config != NULL)
				*config = f.value;
		} else if (config == NULL && config_set(l, k, f.value) != 0) {
			break;
		}
		l->err->end = l->err->start;
		err = 0;
	}
	free(given);
	return err;
}

/* ---- file ---- */

/* Reads the file that 'key' names: --config or the variable. */
static int
config_file(const struct sq_config_load *l, const char *key, const char *path)
{
	struct sq_buf text = {0};
	int err = sq_file_read(path, CONFIG_FILE_MAX, &text);

	if (err == SQ_ETOOBIG)
		sq_buf_printf(l->err, "%s: %s: longer than %u bytes", key, path, CONFIG_FILE_MAX);
	else if (err != 0)
		sq_buf_printf(l->err, "%s: %s: %s", key, path, sq_file_reason(err));
	else
		err = sq_config_yaml(
		    l->cfg, l->keys, l->n, path, sq_buf_data(&text), sq_buf_len(&text), l->err);
	sq_buf_fini(&text);
	return err != 0 ? SQ_EINVAL : 0;
}

static const char *
config_file_of_env(char **envp)
{
	static const char name[] = ENV_PREFIX "CONFIG=";

	for (; envp != NULL && *envp != NULL; envp++)
		if (strncmp(*envp, name, sizeof name - 1) == 0)
			return *envp + sizeof name - 1;
	return NULL;
}

const char *
sq_config_file(int argc, char **argv, char **envp)
{
	const char *file = config_file_of_env(envp);

	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--config=", 9) == 0)
			file = argv[i] + 9;
		else if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
			file = argv[i + 1];
		/* Values of other flags are no flags. */
		i += strncmp(argv[i], "--", 2) == 0 && strchr(argv[i], '=') == NULL;
	}
	return file != NULL && *file != '\0' ? file : NULL;
}

int
sq_config_load(void *cfg, const struct sq_config_key *keys, size_t n, int argc, char **argv,
    char **envp, struct sq_buf *err)
{
	struct sq_buf why = {0};
	const struct sq_config_load l = {cfg, keys, n, &why};
	const char *env = config_file_of_env(envp), *file = env;
	int rc = 0;

	for (size_t i = 0; i < n; i++)
		if (keys[i].def != NULL && !sq_config_is_inner(&keys[i]) &&
		    sq_config_set(cfg, &keys[i], keys[i].def, &why) != 0)
			abort(); /* the table contradicts itself */
	rc = config_flags(&l, argc, argv, &file);
	if (rc == 0 && file != NULL && *file != '\0')
		rc = config_file(&l, file == env ? ENV_PREFIX "CONFIG" : "--config", file);
	if (rc == 0)
		rc = config_env(&l, envp);
	if (rc == 0)
		rc = config_flags(&l, argc, argv, NULL);
	if (rc != 0)
		sq_buf_append(err, sq_buf_data(&why), sq_buf_len(&why));
	sq_buf_fini(&why);
	return rc;
}
