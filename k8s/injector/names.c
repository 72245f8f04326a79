/* Names of an installation's objects; see k8s/injector/names.h. */
#include "k8s/injector/names.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/mem.h"

static char *names_print(const char *fmt, ...) SQ_PRINTF(1, 2);

static char *
names_print(const char *fmt, ...)
{
	va_list args;
	char *text;
	int n;

	va_start(args, fmt);
	n = vasprintf(&text, fmt, args);
	va_end(args);
	if (n < 0)
		abort(); /* no memory */
	return text;
}

/* The four names of a Service, for 'prefix' "" or "*.". */
static void
names_of_service(const struct sq_names *n, const char *prefix, const char *service, char **out)
{
	/* The full one first: it is what sidecars dial. */
	*out++ = names_print("%s%s.%s.svc.%s", prefix, service, n->space, n->domain);
	*out++ = names_print("%s%s.%s.svc", prefix, service, n->space);
	*out++ = names_print("%s%s.%s", prefix, service, n->space);
	*out = names_print("%s%s", prefix, service);
}

/* What is configured, or one that is made of the full name. */
static char *
names_choose(const char *given, const char *before, const char *fullname, const char *behind)
{
	return given != NULL && *given != '\0' ? sq_xstrdup(given)
					       : names_print("%s%s%s", before, fullname, behind);
}

void
sq_names_make(struct sq_names *n, const struct sq_settings *s, const struct sq_injector_config *c)
{
	char *broker = names_print("%s-broker", s->fullname);
	char *headless = names_print("%s-broker-headless", s->fullname);

	*n = (struct sq_names){
	    .space = sq_xstrdup(s->space),
	    .fullname = sq_xstrdup(s->fullname),
	    .domain = sq_xstrdup(s->cluster_domain),
	    .title = names_print("%s/%s", s->space, s->fullname),
	    .service = names_print("%s-injector", s->fullname),
	    .ca_secret = names_choose(c->ca_secret, "", s->fullname, "-ca"),
	    .broker_secret = names_choose(c->broker_secret, "", s->fullname, "-broker-tls"),
	    .webhooks = names_choose(c->webhooks, "0-", s->fullname, "-injector"),
	};
	names_of_service(n, "", broker, n->broker);
	names_of_service(n, "*.", headless, n->broker + 4);
	names_of_service(n, "", n->service, n->serving);
	n->n_broker = SQ_NAMES_OF_SERVICES;
	for (size_t i = 0; i < c->broker_names.n; i++)
		n->broker[n->n_broker++] = sq_xstrdup(c->broker_names.v[i]);
	free(broker);
	free(headless);
}

void
sq_names_free(struct sq_names *n)
{
	free(n->space);
	free(n->fullname);
	free(n->domain);
	free(n->title);
	free(n->service);
	free(n->ca_secret);
	free(n->broker_secret);
	free(n->webhooks);
	for (size_t i = 0; i < n->n_broker; i++)
		free(n->broker[i]);
	for (size_t i = 0; i < SQ_NAMES_SERVING; i++)
		free(n->serving[i]);
	*n = (struct sq_names){0};
}
