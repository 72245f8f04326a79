#include "broker/engine/record.h"

#include "core/mem.h"

char *
sq_record_queue_name(const char *name, uint64_t number)
{
	struct sq_buf text = {0};
	char *out;

	sq_buf_printf(&text, "%s#%016llx", name, (unsigned long long)number);
	out = sq_xmemdup0(sq_buf_data(&text), sq_buf_len(&text));
	sq_buf_fini(&text);
	return out;
}
