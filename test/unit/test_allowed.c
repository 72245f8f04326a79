/* What an identity may do, by the rules alone. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "broker/auth/identity/allowed.h"

enum { GROUP_MAX = 255, ACCOUNT = 4711, OTHER = 4712 };

static const char *const spaces[] = {"a", "b", "c"};
static const struct sq_identity nobody = {.name = "", .pod = ""}, token = {.id = OTHER, .pod = ""},
				account = {
				    .id = ACCOUNT, .pod = "p", .spaces = spaces, .n_spaces = 1};

static struct sq_bytes
text(const char *s)
{
	return (struct sq_bytes){(const unsigned char *)s, strlen(s)};
}

static enum sq_denied
key(const struct sq_identity *who, const char *segment)
{
	struct sq_key k;

	cr_assert_eq(sq_key_decode(text(segment), &k), SQ_OK);
	return sq_allowed_key(who, &k);
}

Test(allowed, a_key_is_of_the_tokens_space_and_pod)
{
	cr_assert_eq(key(&account, "a~w~c"), SQ_DENIED_NONE);
	cr_assert_eq(key(&account, "a~w~c~p"), SQ_DENIED_NONE);
	cr_assert_eq(key(&account, "a~w~c~q"), SQ_DENIED_POD);
	cr_assert_eq(key(&account, "a~w~c~pp"), SQ_DENIED_POD);
	cr_assert_eq(key(&account, "b~w~c~p"), SQ_DENIED_SPACE);
	cr_assert_eq(key(&account, "aa~w~c"), SQ_DENIED_SPACE);
	cr_assert_eq(key(&account, "A~w~c"), SQ_DENIED_SPACE);
}

Test(allowed, who_is_bound_to_no_space_may_name_any)
{
	cr_assert_eq(key(&nobody, "b~w~c~q"), SQ_DENIED_NONE);
	cr_assert_eq(key(&token, "b~w~c~q"), SQ_DENIED_NONE);
}

Test(allowed, a_token_without_a_pod_names_any)
{
	struct sq_identity who = {.id = ACCOUNT, .pod = "", .spaces = spaces, .n_spaces = 1};

	cr_assert_eq(key(&who, "a~w~c~q"), SQ_DENIED_NONE);
	cr_assert_eq(key(&who, "b~w~c~q"), SQ_DENIED_SPACE);
	cr_assert_eq(
	    sq_allowed_declared(&who, text("q"), text("pod:z"), GROUP_MAX), SQ_DENIED_NONE);
}

Test(allowed, who_has_several_spaces_may_name_each)
{
	struct sq_identity who = {.id = ACCOUNT, .pod = "", .spaces = spaces, .n_spaces = 3};

	cr_assert_eq(key(&who, "a~w~c"), SQ_DENIED_NONE);
	cr_assert_eq(key(&who, "b~w~c"), SQ_DENIED_NONE);
	cr_assert_eq(key(&who, "c~w~c~q"), SQ_DENIED_NONE);
	cr_assert_eq(key(&who, "d~w~c"), SQ_DENIED_SPACE);
	cr_assert_eq(key(&who, "ab~w~c"), SQ_DENIED_SPACE);
	cr_assert_eq(sq_allowed_again(&account, &who), SQ_DENIED_SPACE);
	cr_assert_eq(sq_allowed_again(&who, &account), SQ_DENIED_SPACE);
}

Test(allowed, a_declaration_is_of_the_tokens_pod)
{
	cr_assert_eq(
	    sq_allowed_declared(&account, text("p"), text("g"), GROUP_MAX), SQ_DENIED_NONE);
	cr_assert_eq(sq_allowed_declared(&account, text(""), text("g"), GROUP_MAX), SQ_DENIED_NONE);
	cr_assert_eq(sq_allowed_declared(&account, text("q"), text("g"), GROUP_MAX), SQ_DENIED_POD);
	cr_assert_eq(
	    sq_allowed_declared(&account, text("p"), text("pod:p"), GROUP_MAX), SQ_DENIED_NONE);
	cr_assert_eq(
	    sq_allowed_declared(&account, text("p"), text("pod:q"), GROUP_MAX), SQ_DENIED_POD);
	cr_assert_eq(
	    sq_allowed_declared(&account, text(""), text("pod:"), GROUP_MAX), SQ_DENIED_POD);
	cr_assert_eq(
	    sq_allowed_declared(&account, text(""), text("pod"), GROUP_MAX), SQ_DENIED_NONE);
}

Test(allowed, the_name_of_a_long_pods_group_is_cut)
{
	char pod[253 + 1] = {0}, group[GROUP_MAX + 1];
	struct sq_identity who = {.id = ACCOUNT, .pod = pod, .spaces = spaces, .n_spaces = 1};

	memset(pod, 'x', 253);
	snprintf(group, sizeof group, "pod:%.251s", who.pod);
	cr_assert_eq(
	    sq_allowed_declared(&who, text(who.pod), text(group), GROUP_MAX), SQ_DENIED_NONE);
	group[GROUP_MAX - 1] = '\0';
	cr_assert_eq(
	    sq_allowed_declared(&who, text(who.pod), text(group), GROUP_MAX), SQ_DENIED_POD);
}

Test(allowed, a_later_token_is_of_the_same_account_and_pod)
{
	struct sq_identity now = account;

	now.expires_s = 99;
	cr_assert_eq(sq_allowed_again(&account, &now), SQ_DENIED_NONE);
	now.id = OTHER;
	cr_assert_eq(sq_allowed_again(&account, &now), SQ_DENIED_OWNER);
	now = account;
	now.pod = "q";
	cr_assert_eq(sq_allowed_again(&account, &now), SQ_DENIED_POD);
	now.spaces = spaces + 1;
	cr_assert_eq(sq_allowed_again(&account, &now), SQ_DENIED_SPACE);
	cr_assert_eq(sq_allowed_again(&token, &account), SQ_DENIED_SPACE);
	cr_assert_eq(sq_allowed_again(&token, &token), SQ_DENIED_NONE);
}

Test(allowed, a_session_is_its_owners)
{
	static const struct sq_owner_rules each = {SQ_OWNER_ACCOUNT, false},
					   all = {SQ_OWNER_NAMESPACE, false},
					   keep = {SQ_OWNER_ACCOUNT, true},
					   all_keep = {SQ_OWNER_NAMESPACE, true};
	static const struct {
		const struct sq_identity *who;
		uint64_t owner;
		const struct sq_owner_rules *rules;
		enum sq_denied why;
		uint64_t after;
	} rows[] = {
	    {&account, ACCOUNT, &each, SQ_DENIED_NONE, ACCOUNT},
	    {&account, OTHER, &each, SQ_DENIED_OWNER, 0},
	    {&account, OTHER, &keep, SQ_DENIED_OWNER, 0},
	    {&account, ACCOUNT, &keep, SQ_DENIED_NONE, ACCOUNT},
	    {&account, OTHER, &all, SQ_DENIED_NONE, ACCOUNT},
	    {&account, OTHER, &all_keep, SQ_DENIED_NONE, ACCOUNT},
	    /* what was there before anybody had a name */
	    {&account, SQ_IDENTITY_NOBODY, &each, SQ_DENIED_NONE, ACCOUNT},
	    {&account, SQ_IDENTITY_OLD_TOKEN, &each, SQ_DENIED_NONE, ACCOUNT},
	    {&account, SQ_IDENTITY_NOBODY, &keep, SQ_DENIED_OWNER, 0},
	    {&account, SQ_IDENTITY_OLD_TOKEN, &all_keep, SQ_DENIED_OWNER, 0},
	    /* where nobody is asked there is nothing to compare, and nothing to forget */
	    {&nobody, ACCOUNT, &each, SQ_DENIED_NONE, ACCOUNT},
	    {&nobody, ACCOUNT, &keep, SQ_DENIED_NONE, ACCOUNT},
	    {&nobody, SQ_IDENTITY_OLD_TOKEN, &keep, SQ_DENIED_NONE, SQ_IDENTITY_OLD_TOKEN},
	    {&nobody, SQ_IDENTITY_NOBODY, &keep, SQ_DENIED_NONE, SQ_IDENTITY_NOBODY},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		cr_assert_eq(sq_allowed_owner(rows[i].who, rows[i].owner, rows[i].rules),
		    rows[i].why, "row %zu", i);
		if (rows[i].why == SQ_DENIED_NONE)
			cr_assert_eq(sq_owner_after(rows[i].who, rows[i].owner), rows[i].after,
			    "row %zu", i);
	}
}
