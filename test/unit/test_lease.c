/* The text of a lease. */
#include <criterion/criterion.h>
#include <string.h>

#include "broker/auth/identity/identity.h"
#include "broker/subscriber/lease.h"

static struct sq_lease_prover *key, *other;
static const struct sq_lease lease = {
    .queue = UINT64_MAX - 7, .seq = 123456789012, .attempt = 3, .number = 77, .boot = 9};
static const struct sq_identity *alice, *bob;
static char text[SQ_LEASE_TEXT_MAX];

static void
set_up(void)
{
	key = sq_lease_prover_new((const unsigned char[SQ_LEASE_KEY]){1, 2, 3});
	other = sq_lease_prover_new((const unsigned char[SQ_LEASE_KEY]){1, 2, 4});
	alice = sq_identity_new(&(const struct sq_identity){.id = 5, .name = "token:alice"});
	bob = sq_identity_new(&(const struct sq_identity){.id = 5, .name = "token:bob"});
	sq_lease_write(key, alice, &lease, text);
}

static void
tear_down(void)
{
	sq_identity_unref(&alice);
	sq_identity_unref(&bob);
	sq_lease_prover_free(&key);
	sq_lease_prover_free(&other);
}

TestSuite(lease, .init = set_up, .fini = tear_down);

Test(lease, is_read_as_it_was_written)
{
	struct sq_lease is;

	cr_assert_eq(strlen(text), SQ_LEASE_LENGTH);
	cr_assert_eq(
	    strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
	    SQ_LEASE_LENGTH);
	/* Fixed, as leases outlive their broker. */
	cr_assert_str_eq(text, "__________gAAAAcvpkaFAAAAAMAAABNAAAACUMkMGnyTI9i");
	cr_assert(sq_lease_read(key, alice, sq_bytes_of(text), &is));
	cr_assert_eq(is.queue, lease.queue);
	cr_assert_eq(is.seq, lease.seq);
	cr_assert_eq(is.attempt, lease.attempt);
	cr_assert_eq(is.number, lease.number);
	cr_assert_eq(is.boot, lease.boot);
	cr_assert_eq(sq_lease_queue(sq_bytes_of(text)), lease.queue);
}

Test(lease, is_good_for_its_identity_and_key_alone)
{
	const struct sq_identity *nobody = sq_identity_nobody();
	struct sq_lease is;

	cr_assert_not(sq_lease_read(key, bob, sq_bytes_of(text), &is));
	cr_assert_not(sq_lease_read(key, nobody, sq_bytes_of(text), &is));
	cr_assert_not(sq_lease_read(other, alice, sq_bytes_of(text), &is));
	sq_identity_unref(&nobody);
}

Test(lease, with_any_bit_changed_is_none)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	struct sq_lease is;

	for (size_t i = 0; i < SQ_LEASE_LENGTH; i++) {
		char was = text[i];
		size_t at = (size_t)(strchr(digits, was) - digits);

		for (unsigned bit = 0; bit < 6; bit++) {
			text[i] = digits[at ^ (1u << bit)];
			cr_assert_not(sq_lease_read(key, alice, sq_bytes_of(text), &is),
			    "character %zu, bit %u", i, bit);
		}
		text[i] = was;
	}
	cr_assert(sq_lease_read(key, alice, sq_bytes_of(text), &is));
}

Test(lease, what_is_no_text_of_one)
{
	static const char *const texts[] = {"", "x",
	    "////////////////////////////////////////////////",
	    "++++++++++++++++++++++++++++++++++++++++++++++++",
	    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
	    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA ",
	    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};
	struct sq_lease is;

	for (size_t i = 0; i < SQ_ARRAY_LEN(texts); i++) {
		cr_assert_not(sq_lease_read(key, alice, sq_bytes_of(texts[i]), &is), "%zu", i);
		cr_assert_eq(sq_lease_queue(sq_bytes_of(texts[i])), 0, "%zu", i);
	}
	for (size_t len = 0; len < SQ_LEASE_LENGTH; len++)
		cr_assert_not(sq_lease_read(
		    key, alice, (struct sq_bytes){(const unsigned char *)text, len}, &is));
}
