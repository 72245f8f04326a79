/* Values of the tables behind their checksums: items, queues and keys of records.
 *
 * The input: u8 which database, u8 length of the key, the key, the value's body. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/engine/embedded/item.h"
#include "broker/engine/embedded/table_priv.h"
#include "core/mem.h"
#include "core/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
see_item(const MDB_val *key, struct sq_bytes body)
{
	struct sq_table_item item;
	struct sq_buf subs = {0};

	if (sq_table_item_get(key, body, &subs, &item) && sq_table_item_good(&item)) {
		assert(sq_image_size(item.image.p) <= item.image.len);
		assert(item.subs.len % 4 == 0);
		assert(sq_image_topic(item.image.p).len <= item.image.len);
		assert(sq_image_props(item.image.p).len <= item.image.len);
		assert(sq_image_payload(item.image.p).len <= item.image.len);
	}
	sq_buf_fini(&subs);
}

static void
see_queue(const MDB_val *key, struct sq_bytes body)
{
	struct sq_buf name = {0};
	struct sq_table_queue queue;

	if (sq_table_queue_get(key, body, &name, &queue))
		assert(strlen(queue.name) <= body.len);
	sq_buf_fini(&name);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sq_reader in = sq_reader(data, size);
	enum table_db db = (enum table_db)(sq_read8(&in) % TABLE_DBS);
	size_t key_len = sq_read8(&in) % (TABLE_KEY_MAX + 1);
	const unsigned char *key_bytes = sq_read_bytes(&in, key_len);
	struct sq_record_key record;
	struct sq_bytes body;
	MDB_val key, value;

	if (in.bad)
		return 0;
	key = (MDB_val){key_len, (void *)(uintptr_t)key_bytes};
	value.mv_size = TABLE_VALUE_HEAD + sq_reader_left(&in);
	value.mv_data = sq_xmalloc(value.mv_size);
	memset(value.mv_data, 0, TABLE_VALUE_HEAD);
	memcpy((unsigned char *)value.mv_data + TABLE_VALUE_HEAD, in.p, sq_reader_left(&in));
	(void)sq_table_proven(db, &key, &value, &body); /* as it came */
	(void)sq_table_image_bytes(&value);
	sq_table_seal(db, &key, &value);
	if (!sq_table_proven(db, &key, &value, &body))
		abort();
	if (db == TABLE_ITEMS)
		see_item(&key, body);
	else if (db == TABLE_QUEUES)
		see_queue(&key, body);
	else
		(void)sq_table_record_key_get(&key, &record);
	free(value.mv_data);
	return 0;
}
