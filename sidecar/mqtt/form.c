#include "sidecar/mqtt/form.h"

#include <assert.h>
#include <string.h>

#include "core/bytes.h"

/* Where the packet id of an encoded PUBLISH is: behind the topic. */
static size_t
form_id_at(const unsigned char *packet)
{
	size_t at = 1;

	while ((packet[at++] & 0x80) != 0)
		;
	return at + 2 + sq_get16(packet + at);
}

bool
sq_form_make(struct sq_form *f, const struct sq_form_kind *k, const struct sq_mqtt_publish_out *out,
    struct sq_bytes payload)
{
	size_t cap = sq_mqtt_publish_head_room(out), head;
	unsigned char *p;

	assert(k->frame != 0 && out->sub_ids_n == 0);
	f->kind = (struct sq_form_kind){0};
	sq_buf_drain(&f->bytes, sq_buf_len(&f->bytes));
	p = sq_buf_reserve(&f->bytes, cap + payload.len);
	head = sq_mqtt_publish_head(p, cap, out);
	if (head == 0)
		return false;
	if (payload.len > 0)
		memcpy(p + head, payload.p, payload.len);
	sq_buf_commit(&f->bytes, head + payload.len);
	f->id_at = out->qos > 0 ? form_id_at(p) : 0;
	f->kind = *k;
	return true;
}

void
sq_form_write(const struct sq_form *f, uint16_t packet_id, unsigned char *to)
{
	memcpy(to, sq_buf_data(&f->bytes), sq_buf_len(&f->bytes));
	if (f->id_at != 0)
		sq_put16(to + f->id_at, packet_id);
}

void
sq_form_fini(struct sq_form *f)
{
	sq_buf_fini(&f->bytes);
	*f = (struct sq_form){0};
}
