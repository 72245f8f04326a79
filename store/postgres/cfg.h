/* What the driver of a log in PostgreSQL, the module sqmqos-log-postgres.so, is told: the 'cfg' of its
 * dial().  It is the program's, which does not know libpq. */
#ifndef SQ_STORE_POSTGRES_CFG_H
#define SQ_STORE_POSTGRES_CFG_H

#include <stdbool.h>

#include "core/buf.h"

#define SQ_LOG_POSTGRES_MODULE "sqmqos-log-postgres.so"
#define SQ_LOG_POSTGRES_SCHEMA "sqmqos" /* the default schema */

/* Strings outlive the driver's connections; NULL where nothing else is said: "not given". */
struct sq_log_postgres_cfg {
	/* HOST[:PORT], by commas; [ADDRESS]:PORT of IPv6; /FOLDER[:PORT] of a Unix socket.  Port 5432. */
	const char *hosts;
	const char *database, *user;
	const char *password_file; /* read at each dial */
	const char *schema;        /* an identifier: a-z, 0-9, _; NULL: SQ_LOG_POSTGRES_SCHEMA */
	const char *ca_file;       /* whom servers are trusted by; NULL: the system's */
	const char *cert_file, *key_file; /* the client's own */
	const char *id;                   /* of this broker, for the database's list of sessions */
	bool unsafe;  /* servers that may lose what they have confirmed will do */
	bool managed; /* the service sees to a second copy, in a way that SHOW does not tell */
	bool make;    /* makes the schema where there is none */
};

/* Whether it may be a schema's name. */
bool sq_log_postgres_name_ok(const char *schema);

/* Appends the SQL that makes the schema, as --log-schema prints it: what is there already stays.
 * 'itself': the schema, too, not its tables alone. */
void sq_log_postgres_schema(struct sq_buf *, const char *schema, bool itself);

#endif
