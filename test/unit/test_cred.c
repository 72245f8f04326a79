/* net/cred: where credentials come from, when they are renewed, and what is none; against a server that
 * is STS, a container's agent and an instance's metadata, with a clock of the test's. */
#include "net/cred/cred.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/https_server.h"
#include "../support/temp_dir.h"
#include "core/clock.h"
#include "core/rfc3339.h"
#include "net/curl/shared.h"

enum {
	SEEN_MAX = 16,
	MINUTE_MS = 60000,
	AWAIT_MS = 30000,
	ANSWER_MAX = 32 << 10,
};
static const uint64_t begin_wall_ms = 1767225600000; /* 2026-01-01 */

/* What the server has seen, and what it says.  Under the lock. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	char line[300], head[4096], body[1024];
} seen[SEEN_MAX];
static unsigned n_seen;
static unsigned status;   /* of each answer; 0: 200 */
static const char *says;  /* in place of credentials */
static unsigned life_s;   /* of them */
static unsigned round_no; /* in the id of their key, and of their token */
static bool huge, silent, redirects;

static _Atomic uint64_t now_ms;
static struct https_server *server;
static struct sq_out_shared *out;
static struct sq_creds *all;
static struct sq_cred *cred;
static char *dir;

/* The environment. */
static struct {
	const char *name;
	char value[300];
} env[16];
static unsigned n_env;

static const char *
fake_env(const char *name)
{
	for (unsigned i = 0; i < n_env; i++) {
		if (strcmp(env[i].name, name) == 0)
			return env[i].value;
	}
	return NULL;
}

static void
set(const char *name, const char *value)
{
	cr_assert_lt(n_env, 16);
	env[n_env].name = name;
	snprintf(env[n_env++].value, sizeof env[0].value, "%s", value);
}

static void
unset(const char *name)
{
	for (unsigned i = 0; i < n_env; i++) {
		if (strcmp(env[i].name, name) == 0)
			env[i].value[0] = '\0';
	}
}

static uint64_t
fake_ms(void)
{
	return atomic_load(&now_ms);
}

static uint64_t
fake_wall_ms(void)
{
	return begin_wall_ms + atomic_load(&now_ms);
}

/* The server. */

static void
put_agent(struct sq_buf *body)
{
	char until[SQ_RFC3339_MAX];

	sq_rfc3339_write((int64_t)(fake_wall_ms() + life_s * 1000ULL), until);
	sq_buf_printf(body,
	    "{\"Code\":\"Success\",\"AccessKeyId\":\"AGENT%u\",\"SecretAccessKey\":\"s/e\\/c\","
	    "\"Token\":\"token%u\",\"Expiration\":\"%s\"}",
	    round_no, round_no, until);
}

static void
put_sts(struct sq_buf *body, const char *action)
{
	bool assumed = strcmp(action, "AssumeRole") == 0;

	sq_buf_printf(body,
	    "{\"%sResponse\":{\"%sResult\":{\"Credentials\":{\"AccessKeyId\":\"%s%u\","
	    "\"SecretAccessKey\":\"secret\",\"SessionToken\":\"token%u\",\"Expiration\":%.9E}}}}",
	    action, action, assumed ? "ROLE" : "IDENTITY", round_no, round_no,
	    (double)(fake_wall_ms() / 1000 + life_s));
}

static void
answer(const struct https_request *req, struct https_reply *reply)
{
	bool metadata = strncmp(req->path, "/latest/meta-data/", 18) == 0;

	if (strcmp(req->path, "/latest/api/token") == 0) {
		if (strcmp(req->method, "PUT") != 0 ||
		    strstr(req->head, "X-aws-ec2-metadata-token-ttl-seconds: ") == NULL)
			reply->status = 400;
		sq_buf_printf(&reply->body, "metadata-token");
	} else if (metadata &&
	    strstr(req->head, "X-aws-ec2-metadata-token: metadata-token\r\n") == NULL) {
		reply->status = 401; /* version 1 */
	} else if (metadata && strcmp(strrchr(req->path, '/'), "/") == 0) {
		sq_buf_printf(&reply->body, "the-role\n");
	} else if (strcmp(req->method, "POST") == 0) {
		bool assumed = memmem(req->body, req->body_len, "Action=AssumeRole&", 18) != NULL;

		put_sts(&reply->body, assumed ? "AssumeRole" : "AssumeRoleWithWebIdentity");
	} else {
		put_agent(&reply->body);
	}
}

static void
handle(void *owner, const struct https_request *req, struct https_reply *reply)
{
	(void)owner;
	pthread_mutex_lock(&lock);
	if (n_seen < SEEN_MAX) {
		snprintf(seen[n_seen].line, sizeof seen[0].line, "%s %s", req->method, req->path);
		snprintf(seen[n_seen].head, sizeof seen[0].head, "%s", req->head);
		snprintf(
		    seen[n_seen].body, sizeof seen[0].body, "%.*s", (int)req->body_len, req->body);
	}
	n_seen++;
	if (status != 0)
		reply->status = status;
	reply->silent = silent;
	if (redirects)
		reply->headers = "Location: /elsewhere\r\n";
	if (says != NULL)
		sq_buf_printf(&reply->body, "%s", says);
	else
		answer(req, reply);
	for (unsigned i = 0; huge && i < ANSWER_MAX; i++)
		sq_buf_u8(&reply->body, ' ');
	pthread_mutex_unlock(&lock);
}

static void
begin(void)
{
	dir = temp_dir_new();
	server = https_start(&(struct https_cfg){.dir = dir, .clear = true, .handle = handle});
	out = sq_out_shared_new(&(struct sq_out_cfg){.user_agent = "test"});
	all = sq_creds_new(&(struct sq_creds_cfg){
	    .out = out, .env = fake_env, .ms = fake_ms, .wall_ms = fake_wall_ms});
	atomic_store(&now_ms, 1000);
	life_s = 3600;
	round_no = 1;
}

static void
end(void)
{
	sq_cred_close(&cred);
	sq_out_shared_free(&out);
	sq_creds_free(&all);
	https_stop(&server);
	temp_dir_free(&dir);
}

TestSuite(cred, .init = begin, .fini = end);

/* Files. */

static const char *
path_of(const char *name)
{
	static char paths[4][300];
	static unsigned i;

	i = (i + 1) % 4;
	snprintf(paths[i], sizeof paths[i], "%s/%s", dir, name);
	return paths[i];
}

/* Writes the file, as another one of its name. */
static void
put(const char *name, const char *text)
{
	char fresh[300];
	int fd;

	snprintf(fresh, sizeof fresh, "%s.new", path_of(name));
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	cr_assert_eq(rename(fresh, path_of(name)), 0);
}

static void
open_files(const char *role)
{
	cred = sq_cred_open(all,
	    &(struct sq_cred_cfg){.scope = "test",
		.access_key_file = path_of("id"),
		.secret_key_file = path_of("secret"),
		.role_arn = role,
		.region = "eu-central-1",
		.sts_endpoint = role != NULL ? https_url(server) : NULL});
}

static void
open_env(const char *role)
{
	cred = sq_cred_open(all,
	    &(struct sq_cred_cfg){.scope = "test",
		.role_arn = role,
		.region = "eu-central-1",
		.sts_endpoint = https_url(server)});
}

/* Time passes, and it is looked a few times. */
static void
pass(uint64_t ms)
{
	atomic_fetch_add(&now_ms, ms);
	sq_creds_look(all);
}

/* The id of the key that there is; "" with the reason in 'why'. */
static const char *
key_of(char why[512])
{
	static char id[200];
	const struct sq_cred_value *v;
	struct sq_buf said = {0};
	int rc = sq_cred_get(cred, &v, &said);

	snprintf(id, sizeof id, "%s", v != NULL ? v->key_id : "");
	if (why != NULL)
		snprintf(why, 512, "%d %.*s", rc, (int)sq_buf_len(&said),
		    sq_buf_len(&said) > 0 ? (const char *)sq_buf_data(&said) : "");
	cr_assert_eq(v != NULL, rc == SQ_OK);
	sq_cred_value_put(&v);
	sq_buf_fini(&said);
	return id;
}

/* Waits, for requests that are out, until that is the key. */
static void
await_key(const char *id)
{
	uint64_t until = sq_clock_ms() + AWAIT_MS;
	char why[512];

	while (strcmp(key_of(why), id) != 0) {
		cr_assert_lt(sq_clock_ms(), until, "%s, not %s: %s", key_of(NULL), id, why);
		usleep(1000);
	}
}

/* Waits until there is none, for a reason with that text. */
static void
await_none(const char *text)
{
	uint64_t until = sq_clock_ms() + AWAIT_MS;
	char why[512];

	while (key_of(why)[0] != '\0' || strstr(why, text) == NULL) {
		cr_assert_lt(sq_clock_ms(), until, "%s: %s", key_of(NULL), why);
		usleep(1000);
	}
	cr_assert_eq(atoi(why), SQ_ENOTFOUND);
	cr_assert_null(strstr(why, "hunter"), "%s", why);
}

static unsigned
count_seen(void)
{
	unsigned n;

	pthread_mutex_lock(&lock);
	n = n_seen;
	pthread_mutex_unlock(&lock);
	return n;
}

/* Waits until all requests are answered. */
static void
await_quiet(void)
{
	uint64_t until = sq_clock_ms() + AWAIT_MS;

	while (sq_out_shared_count(out).requests > 0) {
		cr_assert_lt(sq_clock_ms(), until);
		usleep(1000);
	}
}

/* Waits until so many requests have come, and all are answered. */
static void
await_seen(unsigned n)
{
	uint64_t until = sq_clock_ms() + AWAIT_MS;

	while (count_seen() < n) {
		cr_assert_lt(sq_clock_ms(), until, "%u of %u requests", count_seen(), n);
		usleep(1000);
	}
	await_quiet();
	cr_assert_eq(count_seen(), n, "%u, not %u requests", count_seen(), n);
}

static void
say(unsigned with_status, const char *text)
{
	pthread_mutex_lock(&lock);
	status = with_status;
	says = text;
	pthread_mutex_unlock(&lock);
}

static void
next_round(void)
{
	pthread_mutex_lock(&lock);
	round_no++;
	pthread_mutex_unlock(&lock);
}

static void
set_identity(void)
{
	put("identity", "the.identity+token\n");
	set("AWS_WEB_IDENTITY_TOKEN_FILE", path_of("identity"));
	set("AWS_ROLE_ARN", "arn:aws:iam::1:role/pod");
}

static void
set_container(void)
{
	char url[300];

	snprintf(url, sizeof url, "%s/agent?of=me", https_url(server));
	set("AWS_CONTAINER_CREDENTIALS_FULL_URI", url);
}

Test(cred, the_first_source_that_is_set_is_the_one)
{
	put("id", "FILE\n");
	put("secret", "file's/secret\n");
	set("AWS_ACCESS_KEY_ID", "ENV");
	set("AWS_SECRET_ACCESS_KEY", "secret");
	set_identity();
	set_container();
	set("AWS_EC2_METADATA_SERVICE_ENDPOINT", https_url(server));
	open_files(NULL);
	pass(0);
	await_key("FILE");
	sq_cred_close(&cred);
	open_env(NULL);
	await_key("ENV"); /* without a look */
	sq_cred_close(&cred);
	unset("AWS_ACCESS_KEY_ID");
	open_env(NULL);
	await_none("AWS_ACCESS_KEY_ID"); /* half of what it takes is no other source's turn */
	sq_cred_close(&cred);
	cr_assert_eq(count_seen(), 0);
	unset("AWS_SECRET_ACCESS_KEY");
	open_env(NULL);
	pass(0);
	await_key("IDENTITY1");
	sq_cred_close(&cred);
	unset("AWS_ROLE_ARN");
	open_env(NULL);
	pass(0);
	await_key("AGENT1");
	cr_assert_str_eq(seen[1].line, "GET /agent?of=me");
	sq_cred_close(&cred);
	unset("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	open_env(NULL);
	pass(0);
	await_seen(5);
	await_key("AGENT1");
	cr_assert_str_eq(seen[2].line, "PUT /latest/api/token");
	cr_assert_str_eq(seen[3].line, "GET /latest/meta-data/iam/security-credentials/");
	cr_assert_str_eq(seen[4].line, "GET /latest/meta-data/iam/security-credentials/the-role");
	sq_cred_close(&cred);
	set("AWS_EC2_METADATA_DISABLED", "TRUE");
	open_env(NULL);
	pass(0);
	await_none("AWS_EC2_METADATA_DISABLED");
	await_seen(5);
}

Test(cred, files_are_read_again_together_when_they_have_settled)
{
	put("id", "FILE1");
	put("secret", "one\r\n");
	open_files(NULL);
	cr_assert_eq(strcmp(key_of(NULL), ""), 0);
	pass(0);
	await_key("FILE1");
	put("id", "FILE2");
	pass(1000);
	await_key("FILE1"); /* seen, not read */
	put("secret", "two\n");
	pass(1000);
	await_key("FILE1"); /* again */
	pass(999);
	await_key("FILE1");
	pass(1);
	await_key("FILE2");
	for (int i = 0; i < 5; i++)
		pass(1000);
	await_key("FILE2");
}

Test(cred, files_that_are_none_are_said_to_be_and_those_of_before_are_kept)
{
	const struct sq_cred_value *v;
	struct sq_buf why = {0};

	open_files(NULL);
	cr_assert_eq(sq_cred_get(cred, &v, &why), SQ_EAGAIN);
	pass(0);
	await_none("id: ");
	put("id", "FILE1");
	put("secret", "hunter2 is no key");
	pass(1000);
	pass(1000);
	await_none("the secret key is none");
	put("secret", "secret");
	cr_assert_eq(chmod(path_of("secret"), 0644), 0);
	pass(1000);
	pass(1000);
	await_none("secret: ");
	cr_assert_eq(chmod(path_of("secret"), 0640), 0); /* no stamp of it changes */
	pass(1000);
	await_key("FILE1");
	cr_assert_eq(unlink(path_of("id")), 0);
	pass(1000);
	pass(1000);
	await_key("FILE1");
	put("id", "FILE2");
	pass(1000);
	pass(1000);
	await_key("FILE2");
}

Test(cred, a_web_identity_is_shown_to_sts_as_it_is_then)
{
	set_identity();
	set("AWS_ROLE_SESSION_NAME", "my session");
	open_env(NULL);
	pass(0);
	await_key("IDENTITY1");
	await_seen(1);
	cr_assert_str_eq(seen[0].line, "POST /");
	cr_assert_str_eq(seen[0].body,
	    "Action=AssumeRoleWithWebIdentity&Version=2011-06-15"
	    "&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fpod&RoleSessionName=my%20session"
	    "&WebIdentityToken=the.identity%2Btoken");
	cr_assert_not_null(strstr(seen[0].head, "Accept: application/json\r\n"));
	cr_assert_null(strcasestr(seen[0].head, "\r\nauthorization:"));
	put("identity", "another");
	next_round();
	pass(54 * MINUTE_MS);
	await_seen(1); /* with 6 minutes left it is too early */
	pass(MINUTE_MS);
	await_key("IDENTITY2");
	cr_assert_not_null(strstr(seen[1].body, "&WebIdentityToken=another"));
}

Test(cred, those_that_are_there_are_used_until_their_end_while_they_cant_be_renewed)
{
	unsigned before;

	set_identity();
	open_env(NULL);
	pass(0);
	await_key("IDENTITY1");
	say(400, "{\"Error\":{\"Code\":\"ExpiredTokenException\",\"Message\":\"hunter2\"}}");
	pass(56 * MINUTE_MS);
	await_seen(2);
	await_key("IDENTITY1");
	for (int i = 0; i < 40; i++) {
		pass(100);
		await_quiet();
	}
	before = count_seen();
	cr_assert(before >= 3 && before <= 6, "%u requests", before); /* not each time */
	pass(4 * MINUTE_MS);
	await_none("STS: HTTP 400 (ExpiredTokenException)");
	say(0, NULL);
	next_round();
	pass(MINUTE_MS);
	await_key("IDENTITY2");
}

Test(cred, what_lives_short_is_renewed_in_half_of_its_time)
{
	life_s = 240;
	set_container();
	open_env(NULL);
	pass(0);
	await_key("AGENT1");
	next_round();
	pass(100 * 1000);
	await_seen(1);
	pass(20 * 1000);
	await_key("AGENT2");
	next_round();
	life_s = 1; /* and not without a pause */
	pass(120 * 1000);
	await_key("AGENT3");
	next_round();
	pass(9 * 1000);
	await_seen(3);
	pass(1000);
	await_key("AGENT4");
}

Test(cred, a_container_asks_with_the_token_of_its_file_or_variable)
{
	set_container();
	set("AWS_CONTAINER_AUTHORIZATION_TOKEN", "variable");
	open_env(NULL);
	pass(0);
	await_key("AGENT1");
	cr_assert_not_null(strstr(seen[0].head, "\r\nAuthorization: variable\r\n"));
	sq_cred_close(&cred);
	put("auth", "file\n");
	set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path_of("auth"));
	open_env(NULL);
	pass(0);
	await_key("AGENT1");
	cr_assert_not_null(strstr(seen[1].head, "\r\nAuthorization: file\r\n"));
	put("auth", "two\nlines");
	pass(60 * MINUTE_MS);
	await_none("auth: is no token");
	await_seen(2);
}

Test(cred, keys_are_not_asked_for_in_the_clear_elsewhere)
{
	static const char *const urls[] = {"http://192.0.2.1/", "http://169.254.169.254/",
	    "http://[fd00:ec2::24]/", "http://[::ffff:10.0.0.1]/"};

	for (unsigned i = 0; i < 4; i++) {
		n_env = 0;
		set("AWS_CONTAINER_CREDENTIALS_FULL_URI", urls[i]);
		set("AWS_CONTAINER_AUTHORIZATION_TOKEN", "hunter2");
		open_env(NULL);
		pass(0);
		await_none("leads neither over https");
		sq_cred_close(&cred);
	}
	n_env = 0;
	set("AWS_CONTAINER_CREDENTIALS_FULL_URI", "file:///etc/passwd");
	open_env(NULL);
	await_none("AWS_CONTAINER_CREDENTIALS_FULL_URI: a URL begins with");
}

Test(cred, the_instance_is_never_asked_without_a_token)
{
	set("AWS_EC2_METADATA_SERVICE_ENDPOINT", https_url(server));
	say(403, "no");
	open_env(NULL);
	pass(0);
	await_none("the instance's metadata: HTTP 403");
	await_seen(1);
	cr_assert_str_eq(seen[0].line, "PUT /latest/api/token");
	say(200, "two words");
	pass(MINUTE_MS);
	await_none("the token is none");
	await_seen(2);
	say(0, NULL);
	pass(MINUTE_MS);
	await_key("AGENT1");
	await_seen(5);
}

Test(cred, what_an_instance_has_is_good_past_its_end)
{
	set("AWS_EC2_METADATA_SERVICE_ENDPOINT", https_url(server));
	life_s = 0;
	open_env(NULL);
	pass(1000);
	await_key("AGENT1");
	next_round();
	pass(5 * MINUTE_MS - 1000);
	await_seen(3);
	await_key("AGENT1");
	pass(5 * MINUTE_MS + 1000);
	await_key("AGENT2");
}

Test(cred, a_role_is_assumed_by_a_signed_request)
{
	put("id", "FILE1");
	put("secret", "secret");
	open_files("arn:aws:iam::2:role/other");
	pass(0);
	await_key("ROLE1");
	await_seen(1);
	cr_assert_not_null(strstr(seen[0].head, "Credential=FILE1/"), "%s", seen[0].head);
	cr_assert_not_null(strstr(seen[0].head, "/eu-central-1/sts/aws4_request"));
	cr_assert_str_eq(seen[0].body,
	    "Action=AssumeRole&Version=2011-06-15"
	    "&RoleArn=arn%3Aaws%3Aiam%3A%3A2%3Arole%2Fother&RoleSessionName=sqmqos");
	next_round();
	put("id", "FILE2"); /* another key assumes it at once */
	pass(1000);
	pass(1000);
	await_key("ROLE2");
	cr_assert_not_null(strstr(seen[1].head, "Credential=FILE2/"));
	cr_assert_eq(unlink(path_of("id")), 0); /* and the one of before goes on doing so */
	pass(1000);
	pass(1000);
	next_round();
	pass(56 * MINUTE_MS);
	await_key("ROLE3");
	cr_assert_not_null(strstr(seen[2].head, "Credential=FILE2/"));
}

Test(cred, a_role_is_assumed_with_what_was_fetched_for_that)
{
	set_identity();
	open_env("arn:aws:iam::2:role/other");
	pass(0);
	await_key("ROLE1");
	await_seen(2);
	cr_assert_not_null(strstr(seen[1].head, "Credential=IDENTITY1/"));
	cr_assert_not_null(strcasestr(seen[1].head, "\r\nX-Amz-Security-Token: token1\r\n"));
	next_round();
	pass(56 * MINUTE_MS);
	await_key("ROLE2");
	cr_assert_not_null(strstr(seen[3].head, "Credential=IDENTITY2/"));
}

Test(cred, hostile_answers_are_no_credentials)
{
	static const struct {
		unsigned status;
		const char *says, *why;
	} cases[] = {
	    {200, "", "no JSON"},
	    {200, "<AssumeRoleResponse/>", "no JSON"},
	    {200, "[]", "no object"},
	    {200, "{}", "no credentials"},
	    {200, "{\"AccessKeyId\":1,\"SecretAccessKey\":\"hunter2\"}", "no session's token"},
	    {200, "{\"AccessKeyId\":\"A\",\"AccessKeyId\":\"B\"}", "no credentials"},
	    {200, "{\"AccessKeyId\":\"A\\nX\",\"SecretAccessKey\":\"hunter2\",\"Token\":\"t\"}",
		"key's id is none"},
	    {200, "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"hunter 2\",\"Token\":\"t\"}",
		"secret key is none"},
	    {200, "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\",\"Token\":\"hunter\\u00002\"}",
		"token is none"},
	    {200,
		"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\",\"Token\":\"t\",\"Expiration\":"
		"\"soon\"}",
		"no time"},
	    {200,
		"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\",\"Token\":\"t\",\"Expiration\":"
		"\"2020-01-01T00:00:00Z\"}",
		"expired already"},
	    {200,
		"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\",\"Token\":\"t\",\"Expiration\":"
		"1e300}",
		"no time"},
	    {404, "{\"code\":\"Not\\nFound hunter2\"}", "HTTP 404"},
	};

	set_container();
	open_env(NULL);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		say(cases[i].status, cases[i].says);
		pass(2 * MINUTE_MS);
		await_seen((unsigned)i + 1);
		await_none(cases[i].why);
	}
}

Test(cred, an_answer_has_a_bound_and_leads_nowhere_else)
{
	set_container();
	huge = true;
	open_env(NULL);
	pass(0);
	await_none("the container's agent: ");
	huge = false;
	redirects = true;
	say(302, "");
	pass(2 * MINUTE_MS);
	await_none("HTTP 302");
	await_seen(2);
}

Test(cred, closing_waits_for_no_answer)
{
	set_container();
	silent = true;
	open_env(NULL);
	pass(0);
	while (count_seen() == 0)
		usleep(1000);
	sq_cred_close(&cred);
	await_seen(1);
}

Test(cred, services_have_a_domain_by_their_region)
{
	cr_assert_str_eq(sq_cred_domain("eu-central-1"), "amazonaws.com");
	cr_assert_str_eq(sq_cred_domain("cn-north-1"), "amazonaws.com.cn");
	cr_assert_str_eq(sq_cred_domain("us-gov-west-1"), "amazonaws.com");
	cr_assert_str_eq(sq_cred_domain("us-isob-east-1"), "sc2s.sgov.gov");
	cr_assert_null(sq_cred_domain(""));
	cr_assert_null(sq_cred_domain("eu.example.org/"));
	cr_assert_null(sq_cred_domain("-x"));
	set("AWS_DEFAULT_REGION", "eu-west-1");
	cr_assert_str_eq(sq_cred_region(all), "eu-west-1");
	set("AWS_REGION", "eu-west-2");
	cr_assert_str_eq(sq_cred_region(all), "eu-west-2");
}

Test(cred, sts_is_nowhere_but_in_a_region)
{
	set_identity();
	cred = sq_cred_open(all, &(struct sq_cred_cfg){.scope = "test"});
	await_none("STS needs a region");
	sq_cred_close(&cred);
	set("AWS_REGION", "evil.example/");
	cred = sq_cred_open(all, &(struct sq_cred_cfg){.scope = "test"});
	await_none("STS needs a region");
}

/* How many lines the log has with that text. */
static unsigned
count_logged(const char *text)
{
	char line[1024];
	FILE *f = fopen(path_of("log"), "r");
	unsigned n = 0;

	cr_assert_not_null(f);
	while (fgets(line, sizeof line, f) != NULL)
		n += strstr(line, text) != NULL;
	fclose(f);
	return n;
}

Test(cred, what_two_of_a_scope_have_is_said_once)
{
	struct sq_cred *other;
	int fd = open(path_of("log"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	set("AWS_ACCESS_KEY_ID", "ENV");
	set("AWS_SECRET_ACCESS_KEY", "secret");
	open_env(NULL);
	other = cred;
	open_env(NULL);
	cr_expect_eq(count_logged("are there"), 1);
	sq_cred_close(&other);
	other = sq_cred_open(all, &(struct sq_cred_cfg){.scope = "another"});
	cr_expect_eq(count_logged("are there"), 2, "of another scope it is said, too");
	sq_cred_close(&other);
	sq_cred_close(&cred);
	open_env(NULL);
	cr_expect_eq(count_logged("are there"), 3, "and when both have gone");
	sq_cred_close(&cred);
	unset("AWS_ACCESS_KEY_ID");
	open_env(NULL);
	other = cred;
	open_env(NULL);
	cr_expect_eq(count_logged("no AWS credentials"), 1);
	sq_cred_close(&other);
	close(fd);
}
