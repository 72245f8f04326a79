#include "broker/bridge/sqs/text.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/utf8.h"

enum { GROUP_HASH = 32 }; /* bytes of a hash that stand in an id */

bool
sq_sqs_text_good(struct sq_bytes t)
{
	if (t.len == 0 || !sq_utf8_valid(t.p, t.len))
		return false;
	for (size_t i = 0; i < t.len; i++) {
		if (t.p[i] < ' ' && t.p[i] != '\t' && t.p[i] != '\n' && t.p[i] != '\r')
			return false;
		/* U+FFFE and U+FFFF are EF BF BE and EF BF BF. */
		if (t.p[i] == 0xef && t.p[i + 1] == 0xbf && t.p[i + 2] >= 0xbe)
			return false;
	}
	return true;
}

void
sq_sqs_group(struct sq_bytes t, char out[SQ_SQS_GROUP_MAX + 1])
{
	unsigned char md[EVP_MAX_MD_SIZE];
	bool good = t.len > 0 && t.len <= SQ_SQS_GROUP_MAX;
	int at;

	for (size_t i = 0; good && i < t.len; i++)
		good = t.p[i] > ' ' && t.p[i] <= '~';
	if (good) {
		(void)snprintf(out, SQ_SQS_GROUP_MAX + 1, "%.*s", (int)t.len, (const char *)t.p);
		return;
	}
	if (EVP_Digest(t.p != NULL ? (const void *)t.p : "", t.len, md, NULL, EVP_sha256(), NULL) !=
	    1)
		abort(); /* out of memory, or a broken library */
	at = snprintf(out, SQ_SQS_GROUP_MAX + 1, "h-");
	for (unsigned i = 0; i < GROUP_HASH; i++)
		at += snprintf(out + at, SQ_SQS_GROUP_MAX + 1 - (size_t)at, "%02x", md[i]);
}
