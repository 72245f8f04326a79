/* Kubeconfigs: which file says what, values in files and in the text, and those that are broken. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "../support/temp_dir.h"
#include "cli/kube/config.h"
#include "core/file.h"
#include "core/mem.h"

#define PEM "-----BEGIN X-----\nabc\n-----END X-----\n"
#define PEM_CODED "LS0tLS1CRUdJTiBYLS0tLS0KYWJjCi0tLS0tRU5EIFgtLS0tLQo="

static const char good[] = "apiVersion: v1\n"
			   "kind: Config\n"
			   "contexts:\n"
			   "- {name: dev, context: {cluster: c, user: u, namespace: shop}}\n"
			   "- {name: twice, context: {cluster: c2, user: u2}}\n"
			   "clusters:\n"
			   "- name: c\n"
			   "  cluster:\n"
			   "    server: https://api.example:6443/base//\n"
			   "    certificate-authority-data: \"LS0tLS1CRUdJTiBYLS0tLS0KYWJj\\n"
			   "Ci0tLS0tRU5EIFgtLS0tLQo=\"\n"
			   "    tls-server-name: other.example\n"
			   "users:\n"
			   "- name: u\n"
			   "  user: {client-certificate: cert.pem, client-key-data: " PEM_CODED
			   "}\n"
			   "- {name: u2, user: {token: \" a.token \"}}\n";

static char *dir;
static struct sq_kube_access access_;
static struct sq_buf err;

static void
setup(void)
{
	dir = temp_dir_new();
}

static void
teardown(void)
{
	sq_kube_access_fini(&access_);
	sq_buf_fini(&err);
	temp_dir_free(&dir);
}

TestSuite(cli_kube, .init = setup, .fini = teardown);

/* Writes a file of the folder. */
static void
file(const char *name, const char *text, size_t len)
{
	cr_assert_eq(sq_file_replace(dir, name, text, len, false), 0);
}

/* Reads the context of the files of the folder, which colons part. */
static int
reads(const char *names, const char *context)
{
	struct sq_buf paths = {0};
	char *copy = sq_xstrdup(names), *rest = copy;
	int rc;

	for (char *name; (name = strsep(&rest, ":")) != NULL;)
		sq_buf_printf(&paths, "%s%s/%s", sq_buf_len(&paths) > 0 ? ":" : "", dir, name);
	sq_buf_u8(&paths, 0);
	sq_kube_access_fini(&access_);
	sq_buf_drain(&err, sq_buf_len(&err));
	rc = sq_kube_access_read(&access_, (char *)sq_buf_data(&paths), context, &err);
	sq_buf_u8(&err, 0);
	sq_buf_fini(&paths);
	free(copy);
	return rc;
}

static bool
says(const char *word)
{
	return strstr((const char *)sq_buf_data(&err), word) != NULL;
}

static bool
is(const struct sq_buf *b, const char *text)
{
	return sq_buf_len(b) == strlen(text) &&
	    (text[0] == '\0' || memcmp(sq_buf_data(b), text, strlen(text)) == 0);
}

Test(cli_kube, a_context_is_read)
{
	file("config", good, strlen(good));
	file("cert.pem", PEM, strlen(PEM));
	cr_assert_eq(reads("config", "dev"), 0, "%s", (char *)sq_buf_data(&err));
	cr_assert_str_eq(access_.server, "https://api.example:6443/base");
	cr_assert_str_eq(access_.server_name, "other.example");
	cr_assert(is(&access_.ca, PEM) && is(&access_.cert, PEM) && is(&access_.key, PEM));
	cr_assert(!access_.insecure && access_.proxy == NULL && sq_buf_len(&access_.token) == 0);
	cr_assert_not_null(strstr(access_.name, "context dev of "));
}

Test(cli_kube, the_first_file_says_what_an_entry_is)
{
	static const char more[] = "clusters:\n"
				   "- {name: c2, cluster: {server: \"https://b\"}}\n"
				   "- {name: c, cluster: {server: \"https://never\"}}\n";

	file("a", good, strlen(good));
	file("b", more, strlen(more));
	cr_assert_eq(reads("none:a:b", "twice"), 0, "%s", (char *)sq_buf_data(&err));
	cr_assert_str_eq(access_.server, "https://b");
	cr_assert_str_eq((char *)sq_buf_data(&access_.token), "a.token");
	cr_assert_not_null(strstr(access_.name, "/a"));
	file("cert.pem", PEM, strlen(PEM));
	cr_assert_eq(reads("a:b", "dev"), 0);
	cr_assert_str_eq(access_.server, "https://api.example:6443/base");
	cr_assert_eq(reads("b:a", "dev"), 0);
	cr_assert_str_eq(access_.server, "https://never");
}

Test(cli_kube, what_is_missing_is_named)
{
	file("config", good, strlen(good));
	cr_assert_eq(reads("config", "dev"), SQ_EIO);
	cr_assert(
	    says("context dev: user u: client-certificate: ") && says("cert.pem: No such file"));
	cr_assert_eq(reads("config", "other"), SQ_ENOTFOUND);
	cr_assert(says("context other: is not there; there are: dev, twice"));
	cr_assert_eq(reads("config", "twice"), SQ_EINVAL);
	cr_assert(says("context twice: cluster c2: is in none of the files; there are: c"));
	cr_assert_eq(reads("none", "dev"), SQ_ENOTFOUND);
	cr_assert(says("/none: no such file"));
	cr_assert_null(access_.server);
}

/* What is cut off anywhere is refused, or is a smaller one; nothing of it is read twice or kept. */
Test(cli_kube, beginnings_of_one)
{
	file("cert.pem", PEM, strlen(PEM));
	for (size_t n = 0; n < strlen(good); n++) {
		file("config", good, n);
		if (reads("config", "dev") == 0)
			cr_assert(access_.server != NULL && sq_buf_len(&access_.key) > 0, "%zu", n);
		else
			cr_assert(sq_buf_len(&err) > 10 && access_.server == NULL, "%zu", n);
	}
}

Test(cli_kube, odd_files)
{
	static const struct {
		const char *text, *word;
	} all[] = {
	    {"", "context dev: is not there; there are: none"},
	    {"# nothing\n", "no kubeconfig"},
	    {"just text", "no kubeconfig"},
	    {"a: 1\n---\nb: 2\n", "no kubeconfig"},
	    {"a: [1", ":1:"},
	    {"a: \x01", ":1:"},
	    {"contexts: 3\n", "is not there"},
	    {"contexts: {name: dev}\n", "is not there"},
	    {"contexts: [3, {name: 4}, {name: dev}]\n", "is not there; there are: dev"},
	    {"contexts: [{name: dev, context: 3}]\n", "is not there"},
	    {"contexts: [{name: dev, context: {}}]\n", "context dev: cluster is missing"},
	    {"contexts: [{name: dev, context: {cluster: 3}}]\n", "cluster is no text"},
	    {"contexts: [{name: dev, context: {cluster: c}}]\n"
	     "clusters: [{name: c, cluster: {server: \"https://a b\"}}]\n",
		"server is no https:// address"},
	    {"contexts: [{name: dev, context: {cluster: c}}]\n"
	     "clusters: [{name: c, cluster: {server: \"https://a:b@c\"}}]\n",
		"server is no https:// address"},
	    {"contexts: [{name: dev, context: {cluster: c}}]\n"
	     "clusters: [{name: c, cluster: {server: \"https://a\\0b\"}}]\n",
		"a NUL in a text"},
	    {"contexts: [{name: dev, context: {cluster: c}}]\n"
	     "clusters: [{name: c, cluster: {}}]\n",
		"server is missing"},
	    {"contexts: [{name: dev, context: {cluster: c}}]\n"
	     "clusters: [{name: c, cluster: {server: \"https://a\"}}]\n",
		"context dev: user is missing"},
	};

	for (size_t i = 0; i < SQ_ARRAY_LEN(all); i++) {
		file("config", all[i].text, strlen(all[i].text));
		cr_assert_neq(reads("config", "dev"), 0, "%zu", i);
		cr_assert(says(all[i].word), "%zu: %s", i, (char *)sq_buf_data(&err));
	}
}

Test(cli_kube, large_ones)
{
	size_t len = (1 << 20) + 1;
	char *text = sq_xmalloc(len);

	memset(text, '#', len);
	file("config", text, len);
	cr_assert_neq(reads("config", "dev"), 0);
	memset(text, '[', len);
	file("config", text, 10000);
	cr_assert_neq(reads("config", "dev"), 0);
	cr_assert(says("config:1:"));
	free(text);
	cr_assert_neq(sq_kube_access_read(&access_, "/", "dev", &err), 0);
	cr_assert_neq(sq_kube_access_read(&access_, "/dev/null", "dev", &err), 0);
}
