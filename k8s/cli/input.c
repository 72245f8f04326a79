/* Files into documents; see input.h. */
#include "k8s/cli/input.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/mem.h"

/* --- one text --- */

/* JSON that libyaml does not take, as with some escapes, has no marks. */
static void
input_read_json(struct sq_input *in, json_t *value)
{
	struct sq_yaml_error ignored;
	struct sq_yaml_documents *ds = &in->documents;

	in->json = true;
	if (sq_yaml_json_read(
		(const char *)sq_buf_data(&in->text), sq_buf_len(&in->text), ds, &ignored) != 0 ||
	    ds->n != 1) {
		sq_yaml_documents_free(ds);
		ds->v = sq_xcalloc(1, sizeof *ds->v);
		ds->n = 1;
	}
	json_decref(ds->v[0].value);
	ds->v[0].value = value;
}

static bool
text_is_json(const struct sq_buf *text)
{
	const unsigned char *p = sq_buf_data(text);
	size_t i = 0, len = sq_buf_len(text);

	while (i < len && strchr(" \t\r\n", p[i]) != NULL && p[i] != '\0')
		i++;
	return i < len && p[i] == '{';
}

struct sq_input
sq_input_parse(const char *name, struct sq_buf *text)
{
	struct sq_input in = {.name = sq_xstrdup(name), .text = *text};
	const char *p = sq_buf_len(text) > 0 ? (const char *)sq_buf_data(text) : "";
	json_t *value = NULL;

	*text = (struct sq_buf){0};
	if (text_is_json(&in.text) && sq_buf_len(&in.text) <= SQ_YAML_SIZE_MAX)
		value = json_loadb(p, sq_buf_len(&in.text), JSON_REJECT_DUPLICATES, NULL);
	if (value != NULL)
		input_read_json(&in, value);
	else
		in.malformed = sq_yaml_json_read(
				   p, sq_buf_len(&in.text), &in.documents, &in.error) != 0;
	return in;
}

void
sq_input_free(struct sq_input *in)
{
	sq_yaml_documents_free(&in->documents);
	sq_buf_fini(&in->text);
	free(in->name);
	*in = (struct sq_input){0};
}

/* --- files --- */

static int
inputs_fail(struct sq_buf *err, const char *path, const char *why, int rc)
{
	sq_buf_printf(err, "%s: %s", path, why);
	return rc;
}

static int
file_read(int fd, const char *path, struct sq_buf *out, struct sq_buf *err)
{
	ssize_t n;

	do {
		n = read(fd, sq_buf_reserve(out, 1 << 16), 1 << 16);
		if (n > 0)
			sq_buf_commit(out, (size_t)n);
		if (sq_buf_len(out) > SQ_YAML_SIZE_MAX)
			return inputs_fail(err, path, "more than 8 MiB", SQ_ETOOBIG);
	} while (n > 0 || (n < 0 && errno == EINTR));
	return n == 0 ? 0 : inputs_fail(err, path, strerror(errno), SQ_EIO);
}

static int
inputs_add_text(struct sq_inputs *ins, int fd, const char *path, struct sq_buf *err)
{
	struct sq_buf text = {0};
	int rc;

	if (ins->n == SQ_INPUT_FILES_MAX)
		return inputs_fail(err, path, "more than 10000 files", SQ_ETOOBIG);
	if ((rc = file_read(fd, path, &text, err)) != 0) {
		sq_buf_fini(&text);
		return rc;
	}
	ins->v = sq_xrealloc(ins->v, (ins->n + 1) * sizeof *ins->v);
	ins->v[ins->n++] = sq_input_parse(path, &text);
	return 0;
}

static bool
name_is_manifest(const char *name)
{
	static const char *const ends[] = {".yaml", ".yml", ".json"};
	size_t len = strlen(name);

	for (size_t i = 0; i < SQ_ARRAY_LEN(ends); i++) {
		size_t n = strlen(ends[i]);

		if (len > n && strcmp(name + len - n, ends[i]) == 0)
			return true;
	}
	return false;
}

static int inputs_add_path(
    struct sq_inputs *ins, const char *path, unsigned depth, bool named, struct sq_buf *err);

static int
inputs_add_folder(struct sq_inputs *ins, const char *path, unsigned depth, struct sq_buf *err)
{
	struct dirent **names;
	int n = scandir(path, &names, NULL, alphasort), rc = 0;

	if (n < 0)
		return inputs_fail(err, path, strerror(errno), SQ_EIO);
	for (int i = 0; i < n; i++) {
		struct sq_buf below = {0};

		if (rc == 0 && names[i]->d_name[0] != '.') {
			sq_buf_printf(&below, "%s%s%s", path,
			    path[strlen(path) - 1] == '/' ? "" : "/", names[i]->d_name);
			sq_buf_u8(&below, 0);
			rc = inputs_add_path(
			    ins, (const char *)sq_buf_data(&below), depth + 1, false, err);
		}
		sq_buf_fini(&below);
		free(names[i]);
	}
	free(names);
	return rc;
}

/* 'named' by the user; else found in a folder. */
static int
inputs_add_path(
    struct sq_inputs *ins, const char *path, unsigned depth, bool named, struct sq_buf *err)
{
	struct stat st;
	int fd, rc;

	if (depth > SQ_INPUT_DEPTH_MAX)
		return inputs_fail(err, path, "too deep a folder", SQ_ETOOBIG);
	if (stat(path, &st) != 0)
		return inputs_fail(err, path, strerror(errno), SQ_EIO);
	if (S_ISDIR(st.st_mode))
		return inputs_add_folder(ins, path, depth, err);
	if (!named && (!S_ISREG(st.st_mode) || !name_is_manifest(path)))
		return 0;
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return inputs_fail(err, path, strerror(errno), SQ_EIO);
	rc = inputs_add_text(ins, fd, path, err);
	close(fd);
	return rc;
}

int
sq_inputs_add(struct sq_inputs *ins, const char *path, struct sq_buf *err)
{
	if (strcmp(path, "-") == 0)
		return inputs_add_text(ins, STDIN_FILENO, path, err);
	if (path[0] == '\0')
		return inputs_fail(err, "-f", "needs a name", SQ_EINVAL);
	return inputs_add_path(ins, path, 0, true, err);
}

void
sq_inputs_free(struct sq_inputs *ins)
{
	for (size_t i = 0; i < ins->n; i++)
		sq_input_free(&ins->v[i]);
	free(ins->v);
	*ins = (struct sq_inputs){0};
}
