/* Any row of push.allow, any space, any URL: what is taken reads as one host, and neither it nor the row's
 * host alone ever opens what only a range may.
 *
 * The input is lines: host pattern, range, space, URL; an empty one is none. */
#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/push/address.h"
#include "broker/push/policy.h"
#include "core/mem.h"
#include "net/curl/out.h"

enum { HOST, CIDR, SPACE, URL, LINES };

/* Loopback, metadata and the broker's own are closed without a range. */
static void
check_closed(const struct sq_push_policy *p, const char *space, const char *host)
{
	static const uint32_t v4[] = {0x7f000001, 0xa9fea9fe, 0, 0xe0000001, 0x08080404};
	struct sockaddr_in to = {.sin_family = AF_INET};

	for (size_t i = 0; i < SQ_ARRAY_LEN(v4); i++) {
		to.sin_addr.s_addr = htonl(v4[i]);
		assert(!sq_push_policy_address(p, space, true, host, (const struct sockaddr *)&to));
	}
}

static void
check_url(const struct sq_push_policy *p, const char *space, const char *url, bool ranged)
{
	char host[256];
	struct sq_buf err = {0};
	struct sq_push_address a;
	bool https;

	if (sq_push_policy_url(p, space, url, &err) != SQ_OK) {
		assert(sq_buf_len(&err) > 0);
		sq_buf_fini(&err);
		return;
	}
	assert(sq_out_url_check(url, &https, host, sizeof host, NULL, &err) == SQ_OK);
	assert(strpbrk(host, "@/\\#%?[] ") == NULL);
	if (!ranged) {
		const struct sq_push_block *b;

		check_closed(p, space, host);
		if (sq_push_address_read(host, &a)) {
			b = sq_push_block_of(&a);
			assert(b == NULL || b->reach == SQ_PUSH_PRIVATE);
		}
	}
	sq_buf_fini(&err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = sq_xmemdup0(data, size), *next = text;
	const char *line[LINES] = {"", "", "", ""};
	struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x08080404)};
	struct sockaddr_storage mine = {0};
	struct sq_push_allow row = {.where = "b.yaml:1"};
	struct sq_push_policy *p;
	struct sq_buf err = {0};

	for (size_t i = 0; i < LINES && next != NULL; i++)
		line[i] = strsep(&next, "\n");
	row.host = line[HOST][0] != '\0' ? line[HOST] : NULL;
	row.cidr = line[CIDR][0] != '\0' ? line[CIDR] : NULL;
	memcpy(&mine, &own, sizeof own);
	p = sq_push_policy_new(&(struct sq_push_policy_cfg){.allow = &row,
				   .n_allow = row.host != NULL || row.cidr != NULL,
				   .own = &mine,
				   .n_own = 1},
	    &err);
	if (p == NULL)
		assert(sq_buf_len(&err) > 0);
	else
		check_url(p, line[SPACE], line[URL], row.cidr != NULL);
	sq_push_policy_unref(&p);
	sq_buf_fini(&err);
	free(text);
	return 0;
}
