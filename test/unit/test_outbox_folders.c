/* Folders of disk outboxes in a shared place, and the lock that keeps two from one. */
#include <criterion/criterion.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sidecar/outbox/folders.h"
#include "store/dir.h"

static char place[64];
static struct sq_outbox_folders *folders;
static struct sq_buf err;

static void
open_place(void)
{
	strcpy(place, "/tmp/sq_test_folders_XXXXXX");
	cr_assert_not_null(mkdtemp(place));
	folders = sq_outbox_folders_open(place, "shop", "shop-1", &err);
	cr_assert_not_null(folders);
}

static void
close_place(void)
{
	char cmd[100];

	sq_outbox_folders_close(&folders);
	sq_buf_fini(&err);
	snprintf(cmd, sizeof cmd, "rm -r %s", place);
	cr_assert_eq(system(cmd), 0);
}

TestSuite(outbox_folders, .init = open_place, .fini = close_place);

static const char *
in_place(const char *name)
{
	static char path[128];

	snprintf(path, sizeof path, "%s/shop/%s", place, name);
	return path;
}

static void
make(const char *name)
{
	cr_assert_eq(mkdir(in_place(name), 0700), 0);
}

static int
lock(const char *name)
{
	int fd = sq_store_lock(in_place(name), &err);

	cr_assert_geq(fd, 0);
	return fd;
}

Test(outbox_folders, a_sidecar_s_own_is_named_after_its_pod)
{
	cr_assert_str_eq(sq_outbox_folders_own(folders, 0), in_place("shop-1"));
	cr_assert_str_eq(sq_outbox_folders_own(folders, 3), in_place("shop-1.3"));
}

Test(outbox_folders, names_can_t_lead_out_of_the_place)
{
	struct sq_outbox_folders *f = sq_outbox_folders_open(place, "..", "../x/..", &err);
	char path[128];

	cr_assert_not_null(f);
	snprintf(path, sizeof path, "%s/%%2e./%%2e.%%2fx%%2f..", place);
	cr_assert_str_eq(sq_outbox_folders_own(f, 0), path);
	sq_outbox_folders_close(&f);
}

Test(outbox_folders, a_place_that_one_sidecar_has_had_is_refused)
{
	char id[128];
	struct sq_buf why = {0};

	snprintf(id, sizeof id, "%s/id", place);
	cr_assert_eq(close(open(id, O_CREAT | O_WRONLY, 0600)), 0);
	cr_assert_null(sq_outbox_folders_open(place, "shop", "shop-1", &why));
	cr_assert_gt(sq_buf_len(&why), 0);
	sq_buf_fini(&why);
}

Test(outbox_folders, what_is_free_at_two_looks_was_left_behind)
{
	int held;

	make("shop-2");
	make("shop-3");
	held = lock("shop-3");
	cr_assert_null(sq_outbox_folders_left(folders, in_place("shop-1")));
	cr_assert_str_eq(sq_outbox_folders_left(folders, in_place("shop-1")), in_place("shop-2"));
	sq_store_unlock(&held);
	cr_assert_eq(rmdir(in_place("shop-2")), 0);
	cr_assert_null(sq_outbox_folders_left(folders, NULL), "it was locked a look ago");
	cr_assert_str_eq(sq_outbox_folders_left(folders, NULL), in_place("shop-3"));
}

Test(outbox_folders, a_container_that_is_started_again_keeps_its_own)
{
	int held;

	make("shop-2");
	cr_assert_null(sq_outbox_folders_left(folders, NULL));
	held = lock("shop-2");
	cr_assert_null(sq_outbox_folders_left(folders, NULL));
	sq_store_unlock(&held);
	cr_assert_null(sq_outbox_folders_left(folders, NULL));
}

Test(outbox_folders, its_own_files_and_what_was_refused_are_passed_over)
{
	make("shop-1");
	make("shop-2");
	cr_assert_eq(close(open(in_place("note"), O_CREAT | O_WRONLY, 0600)), 0);
	cr_assert_null(sq_outbox_folders_left(folders, in_place("shop-1")));
	cr_assert_not_null(sq_outbox_folders_left(folders, in_place("shop-1")));
	sq_outbox_folders_refuse(folders);
	cr_assert_null(sq_outbox_folders_left(folders, in_place("shop-1")));
	cr_assert_null(sq_outbox_folders_left(folders, in_place("shop-1")));
}

Test(outbox_folders, a_folder_that_was_removed_under_its_lock_is_nobody_s)
{
	int held = lock("shop-2");
	struct sq_buf why = {0};

	cr_assert(sq_store_locked(in_place("shop-2")));
	cr_assert_eq(sq_store_lock(in_place("shop-2"), &why), SQ_EEXIST);
	cr_assert_eq(sq_store_remove(in_place("shop-2"), &held, &why), SQ_OK);
	cr_assert_eq(access(in_place("shop-2"), F_OK), -1);
	cr_assert_not(sq_store_locked(in_place("shop-2")));
	held = lock("shop-2"); /* made anew */
	sq_store_unlock(&held);
	sq_buf_fini(&why);
}

/* Takes the folder again and again, and removes it each time. */
static void *
take_and_remove(void *errors)
{
	for (int i = 0; i < 800; i++) {
		struct sq_buf why = {0};
		char path[128];
		int held;

		snprintf(path, sizeof path, "%s/shop/shop-2", place);
		held = sq_store_lock(path, &why);
		if (held < 0)
			*(int *)errors += held != SQ_EEXIST;
		else
			*(int *)errors += sq_store_remove(path, &held, &why) != SQ_OK;
		sq_buf_fini(&why);
	}
	return NULL;
}

/* An error would put the folder, and the next pod's of that name, out of use for good. */
Test(outbox_folders, a_folder_that_goes_while_it_is_taken_is_no_error)
{
	pthread_t threads[3];
	int errors[3] = {0};

	for (int i = 0; i < 3; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, take_and_remove, &errors[i]), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	cr_assert_eq(errors[0] + errors[1] + errors[2], 0);
}
