#include "broker/config/aside.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/auth/tokens/token_new.h"
#include "broker/config/config.h"
#include "broker/engine/embedded/backup.h"
#include "broker/engine/engines/engines.h"

int
sq_aside_new_token(const struct sq_program *self, int argc, char **argv)
{
	struct sq_buf out = {0}, err = {0};
	int code = 0;

	if (argc < 4)
		sq_buf_printf(&err, "--new-token: needs a name and the spaces it may name");
	else if (sq_token_new(argv[2], argv + 3, (size_t)argc - 3, &out, &err) == SQ_OK &&
	    (fwrite(sq_buf_data(&out), 1, sq_buf_len(&out), stdout) != sq_buf_len(&out) ||
		fflush(stdout) != 0))
		sq_buf_printf(&err, "standard output: %s", strerror(errno));
	if (sq_buf_len(&out) > 0)
		explicit_bzero(sq_buf_data(&out), sq_buf_len(&out));
	if (sq_buf_len(&err) > 0)
		code = sq_program_fail(self, SQ_EXIT_CONFIG, &err);
	sq_buf_fini(&out);
	return code;
}

int
sq_aside_backup(const struct sq_program *self, const struct sq_broker_config *c, const char *dir)
{
	struct sq_buf said = {0}, err = {0};
	int rc;

	if (!sq_engines[c->engine]->durable) {
		sq_buf_printf(
		    &err, "--backup: engine %s has no store", sq_engines[c->engine]->name);
		return sq_program_fail(self, SQ_EXIT_CONFIG, &err);
	}
	rc = sq_store_backup(c->store_dir, dir, &said, &err);
	if (rc == SQ_OK) {
		printf("%.*s\n", (int)sq_buf_len(&said), (const char *)sq_buf_data(&said));
		fflush(stdout);
	}
	sq_buf_fini(&said);
	return rc == SQ_OK ? 0 : sq_program_fail(self, SQ_EXIT_FAILED, &err);
}
