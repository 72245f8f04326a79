/* store/shared/check.h: what --check-log says of a log. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/fake_shared.h"
#include "core/mem.h"
#include "store/shared/check.h"
#include "store/shared/record.h"

enum { NONCE = 7 };

static struct fake_shared *log_;
static uint64_t chain, last;

static void
begin(void)
{
	log_ = fake_shared_new(0x5106);
	fake_shared_usurp(log_, NONCE, "broker-0");
	chain = last = 0;
}

static void
end(void)
{
	fake_shared_free(&log_);
}

TestSuite(shared_check, .init = begin, .fini = end);

/* Appends a record that follows one of that chain. */
static void
append(uint64_t before)
{
	struct sq_buf record = {0};

	memset(sq_buf_reserve(&record, SQ_SHARED_HEADER), 0, SQ_SHARED_HEADER);
	sq_buf_commit(&record, SQ_SHARED_HEADER);
	sq_buf_printf(&record, "entries");
	chain = sq_shared_record_seal(&record, before, ++last, 1, 1000);
	fake_shared_foreign(
	    log_, last - 1, (struct sq_bytes){sq_buf_data(&record), sq_buf_len(&record)});
	sq_buf_fini(&record);
}

static void
check(int code, const char *line)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int got = sq_shared_check(&fake_shared_ops, fake_shared_way(log_), out);

	fclose(out);
	cr_assert_eq(got, code, "%s", text);
	cr_assert(strstr(text, line) != NULL, "%s", text);
	free(text);
}

Test(shared_check, an_empty_log_is_sound)
{
	check(0, "records 1 to 0: 0, 0 bytes\nsound\n");
}

Test(shared_check, records_that_follow_each_other_are_sound)
{
	for (unsigned i = 0; i < 5; i++)
		append(chain);
	check(0, "owned by broker-0\n");
}

Test(shared_check, a_record_that_follows_another_is_named)
{
	append(chain);
	append(chain);
	append(chain + 1);
	append(chain);
	check(1, "record 3: does not follow the one before it\n");
}

Test(shared_check, a_log_that_is_not_reached_is_none_that_is_sound)
{
	fake_shared_unreachable(log_, true);
	check(1, "\n");
}
