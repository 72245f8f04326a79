/* proto/media */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "proto/media/media.h"

/* What a function says of a text that has nothing behind it that may be read. */
static bool
of(bool (*what)(struct sq_bytes), const char *text)
{
	size_t len = strlen(text);
	unsigned char *p = sq_xmalloc(len > 0 ? len : 1);
	bool is;

	memcpy(p, text, len);
	is = what((struct sq_bytes){p, len});
	free(p);
	return is;
}

static bool
is_json_itself(struct sq_bytes text)
{
	return sq_media_is(text, "application/json");
}

Test(media, is_a_type_and_a_subtype)
{
	static const char *const good[] = {
	    "a/b", "text/plain", "a/b;", "a/b ; c=d", "a/b\t;c", "application/vnd.x-1+json"};
	static const char *const bad[] = {
	    "", "a", "a/", "/b", "a/b c", "a/b, c/d", " a/b", "a /b", "a/b/c", "a/b\x01", "\xc3/b"};

	for (size_t i = 0; i < SQ_ARRAY_LEN(good); i++)
		cr_expect(of(sq_media_good, good[i]), "%s", good[i]);
	for (size_t i = 0; i < SQ_ARRAY_LEN(bad); i++)
		cr_expect(!of(sq_media_good, bad[i]), "%s", bad[i]);
	cr_expect(!sq_media_is_utf8((struct sq_bytes){0}));
}

Test(media, parts)
{
	struct sq_media m;

	cr_assert(sq_media_read(sq_bytes_of("Text/Plain ; a=b"), &m));
	cr_expect(sq_bytes_are(m.type, "Text") && sq_bytes_are(m.subtype, "Plain"));
	cr_expect(sq_bytes_are(m.params, "; a=b"));
}

Test(media, a_type_by_its_name)
{
	cr_expect(of(is_json_itself, "Application/JSON"));
	cr_expect(of(is_json_itself, "application/json ;charset=utf-8"));
	cr_expect(!of(is_json_itself, "application/jsonx"));
	cr_expect(!of(is_json_itself, "application/json, text/plain"));
	cr_expect(!of(is_json_itself, "text/plain; a=application/json"));
	cr_expect(!of(is_json_itself, "application/x+json"));
}

Test(media, json_and_text)
{
	cr_expect(of(sq_media_is_json, "text/json") && of(sq_media_is_json, "a/B+JSON; c=d"));
	cr_expect(!of(sq_media_is_json, "json") && !of(sq_media_is_json, "a/xjson"));
	cr_expect(of(sq_media_is_text, "TEXT/x") && of(sq_media_is_text, "a/xml;b"));
	cr_expect(of(sq_media_is_characters, "a/b+json") && of(sq_media_is_characters, "text/x"));
	cr_expect(!of(sq_media_is_characters, "text/x;charset=latin1"));
	cr_expect(!of(sq_media_is_characters, "image/png"));
	cr_expect(of(sq_media_is_text, "a/b+xml") && !of(sq_media_is_text, "a/text"));
}

Test(media, utf8_unless_another_charset_is_said)
{
	static const char *const good[] = {"a/b", "a/b;", "a/b;charset=utf-8",
	    "a/b ; x=y ; Charset=\"UTF-8\"", "a/b;charset=us-ascii", "a/b;c=\"; charset=latin1\"",
	    "a/b;c=\"\\\"; charset=latin1\";charset=utf-8", "a/b;xcharset=latin1"};
	static const char *const bad[] = {"a/b;charset=latin1", "a/b; x; charset=utf-16",
	    "a/b;charset", "a/b;charset=", "a/b;charset=\"", "a/b;charset=\"\\",
	    "a/b;charset=utf-88", "a/b;x=\"y\"z;charset=latin1", "a"};

	for (size_t i = 0; i < SQ_ARRAY_LEN(good); i++)
		cr_expect(of(sq_media_is_utf8, good[i]), "%s", good[i]);
	for (size_t i = 0; i < SQ_ARRAY_LEN(bad); i++)
		cr_expect(!of(sq_media_is_utf8, bad[i]), "%s", bad[i]);
}
