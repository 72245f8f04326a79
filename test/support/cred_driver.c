/* net/cred as a bridge has it, for scenarios: credentials of the environment, or of files.
 *
 *   cred_driver URL [ROLE-ARN|- [ACCESS-KEY-FILE SECRET-KEY-FILE]]
 *
 * It looks 50 times a second.  To each line on stdin it answers with one: "get" has "OK ID",
 * "NONE why", or "WAIT"; "sign" has the status of a signed request to URL. */
#include <poll.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/cred/cred.h"
#include "net/curl/shared.h"

enum { LOOK_MS = 20, ASK_MS = 20000 };

static sem_t answered;

static void
driver_done(struct sq_out_request *req)
{
	(void)req;
	sem_post(&answered);
}

static void
driver_get(struct sq_cred *c)
{
	const struct sq_cred_value *v;
	struct sq_buf why = {0};
	int rc = sq_cred_get(c, &v, &why);

	if (rc == SQ_OK)
		printf("OK %s\n", v->key_id);
	else if (rc == SQ_EAGAIN)
		printf("WAIT\n");
	else
		printf("NONE %.*s\n", (int)sq_buf_len(&why), (const char *)sq_buf_data(&why));
	sq_cred_value_put(&v);
	sq_buf_fini(&why);
}

static void
driver_sign(struct sq_cred *c, struct sq_out_shared *shared, const char *url)
{
	static const struct sq_out_way way = {0};
	struct sq_out_request req = {.url = url,
	    .method = "POST",
	    .body = sq_bytes_of("{}"),
	    .way = &way,
	    .timeout_ms = ASK_MS,
	    .max_answer = 4096,
	    .done = driver_done};
	const struct sq_cred_value *v;
	struct sq_buf why = {0};
	struct sq_out *out = sq_out_shared_get(shared, &why);

	if (sq_cred_get(c, &v, &why) != SQ_OK || out == NULL ||
	    sq_out_header(&req, "Content-Type", sq_bytes_of("application/x-amz-json-1.0")) !=
		SQ_OK ||
	    sq_out_header(&req, "X-Amz-Target", sq_bytes_of("AmazonSQS.ListQueues")) != SQ_OK ||
	    sq_out_sign(&req,
		&(struct sq_out_signer){.region = "eu-central-1",
		    .service = "sqs",
		    .key_id = v->key_id,
		    .secret = v->secret,
		    .token = v->token}) != SQ_OK) {
		printf("not signed\n");
	} else {
		sq_out_send(out, &req);
		while (sem_wait(&answered) != 0)
			continue;
		printf("%u\n", req.status);
	}
	sq_out_request_fini(&req);
	sq_cred_value_put(&v);
	sq_buf_fini(&why);
}

int
main(int argc, char **argv)
{
	struct sq_out_shared *out = sq_out_shared_new(&(struct sq_out_cfg){.user_agent = "test"});
	struct sq_creds *all = sq_creds_new(&(struct sq_creds_cfg){.out = out});
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	struct sq_cred *c;
	char line[16];

	if (argc < 2)
		return 2;
	sem_init(&answered, 0, 0);
	setvbuf(stdin, NULL, _IONBF, 0);
	setvbuf(stdout, NULL, _IOLBF, 0);
	c = sq_cred_open(all,
	    &(struct sq_cred_cfg){.scope = "driver",
		.region = "eu-central-1",
		.role_arn = argc > 2 && strcmp(argv[2], "-") != 0 ? argv[2] : NULL,
		.access_key_file = argc > 4 ? argv[3] : NULL,
		.secret_key_file = argc > 4 ? argv[4] : NULL});
	for (;;) {
		sq_creds_look(all);
		if (poll(&in, 1, LOOK_MS) <= 0)
			continue;
		if (fgets(line, sizeof line, stdin) == NULL)
			break;
		if (strcmp(line, "get\n") == 0)
			driver_get(c);
		else
			driver_sign(c, out, argv[1]);
	}
	sq_cred_close(&c);
	sq_out_shared_free(&out);
	sq_creds_free(&all);
	return 0;
}
