#include "store/postgres/cfg.h"

#include <string.h>

/* %1$s is the schema.  The head is locked by appends and changed by claims and beats alone: a row that
 * each append changed would rot while somebody holds an old snapshot. */
static const char tables[] =
    "CREATE TABLE IF NOT EXISTS %1$s.head (\n"
    "	p int PRIMARY KEY, store bigint NOT NULL, format int NOT NULL,\n"
    "	epoch bigint NOT NULL DEFAULT 0, boot bigint NOT NULL DEFAULT 0,\n"
    "	nonce bigint NOT NULL DEFAULT 0,\n"
    "	beats bigint NOT NULL DEFAULT 0, sure bigint NOT NULL DEFAULT 0,\n"
    "	segment int NOT NULL DEFAULT 1, segment_first bigint NOT NULL DEFAULT 1,\n"
    "	moved boolean NOT NULL DEFAULT false, holder text NOT NULL DEFAULT '',\n"
    "	link text NOT NULL DEFAULT '', admin text NOT NULL DEFAULT '') WITH (fillfactor = 10);\n"
    "CREATE TABLE IF NOT EXISTS %1$s.segment (\n"
    "	p int, n int, first bigint NOT NULL, PRIMARY KEY (p, n));\n"
    "CREATE TABLE IF NOT EXISTS %1$s.log_0_1 (\n"
    "	lsn bigint PRIMARY KEY, epoch bigint NOT NULL, sure bigint NOT NULL, data bytea NOT "
    "NULL);\n"
    "ALTER TABLE %1$s.log_0_1 ALTER data SET STORAGE EXTERNAL;\n"
    "CREATE SEQUENCE IF NOT EXISTS %1$s.snapshot_n;\n"
    "CREATE TABLE IF NOT EXISTS %1$s.snapshot (\n"
    "	p int, n bigint, lsn bigint NOT NULL, format int NOT NULL, bytes bigint NOT NULL,\n"
    "	sha256 bytea NOT NULL, done boolean NOT NULL, PRIMARY KEY (p, n));\n"
    "CREATE TABLE IF NOT EXISTS %1$s.broker (\n"
    "	id text PRIMARY KEY, link text NOT NULL, admin text NOT NULL, version text NOT NULL,\n"
    "	format_min int NOT NULL, format_max int NOT NULL, applied bigint NOT NULL,\n"
    "	kept bigint NOT NULL, beats bigint NOT NULL, seen timestamptz NOT NULL);\n"
    "INSERT INTO %1$s.segment (p, n, first)\n"
    "	SELECT 0, 1, 1 WHERE NOT EXISTS (SELECT FROM %1$s.head WHERE p = 0)\n"
    "	ON CONFLICT DO NOTHING;\n"
    "INSERT INTO %1$s.head (p, store, format) VALUES (0,\n"
    "	('x' || left(replace(gen_random_uuid()::text, '-', ''), 16))::bit(64)::bigint, 1)\n"
    "	ON CONFLICT DO NOTHING;\n";

bool
sq_log_postgres_name_ok(const char *schema)
{
	size_t n = strlen(schema);

	return n > 0 && n < 48 && strspn(schema, "abcdefghijklmnopqrstuvwxyz0123456789_") == n &&
	    (schema[0] < '0' || schema[0] > '9') && strncmp(schema, "pg_", 3) != 0;
}

void
sq_log_postgres_schema(struct sq_buf *out, const char *schema, bool itself)
{
	sq_buf_printf(out, "BEGIN;\nSELECT pg_advisory_xact_lock(7305799, 1);\n");
	if (itself)
		sq_buf_printf(out, "CREATE SCHEMA IF NOT EXISTS %s;\n", schema);
	sq_buf_printf(out, tables, schema);
	sq_buf_printf(out, "COMMIT;\n");
}
