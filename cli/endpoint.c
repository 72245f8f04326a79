/* Where the broker is; see cli/endpoint.h. */
#include "cli/endpoint.h"

struct sq_remote *
sq_endpoint_open(const struct sq_options *o, struct sq_tables *tables, struct sq_buf *err)
{
	return sq_remote_open(o->value[SQ_OPTION_ADMIN], o->value[SQ_OPTION_TOKEN], tables, err);
}
