/* Stands in front of the system's <libpq-fe.h>: only the module of store/postgres sees it. */
#ifndef SQ_SEES_LIBPQ
#error "libpq is not seen here: store/postgres is the one that speaks to PostgreSQL"
#else
#include_next <libpq-fe.h>
#endif
