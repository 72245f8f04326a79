/* What the examples have in common: a connection to the pod's sidecar, and user properties. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <MQTTAsync.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline void
not_connected(void *context, MQTTAsync_failureData5 *d)
{
	(void)context;
	fprintf(stderr, "not connected: %s\n", d->message != NULL ? d->message : "refused");
	exit(1); /* and Kubernetes starts us again */
}

/* Connects, again after each loss, and calls connected(client) each time. A session that is
 * kept for some seconds (0: none) takes messages while we are away. The client is the context
 * of arrived(). */
static inline MQTTAsync
connect_as(const char *id, unsigned kept_s, MQTTAsync_connected *connected,
    MQTTAsync_messageArrived *arrived)
{
	MQTTAsync client;
	MQTTAsync_createOptions version = MQTTAsync_createOptions_initializer5;
	MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer5;
	MQTTProperties properties = MQTTProperties_initializer;
	MQTTProperty expiry = {
	    .identifier = MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL, .value.integer4 = kept_s};

	setvbuf(stdout, NULL, _IOLBF, 0);
	MQTTProperties_add(&properties, &expiry);
	MQTTAsync_createWithOptions(
	    &client, "tcp://localhost:1883", id, MQTTCLIENT_PERSISTENCE_NONE, NULL, &version);
	MQTTAsync_setCallbacks(client, client, NULL, arrived, NULL);
	MQTTAsync_setConnected(client, client, connected);
	options.cleanstart = kept_s == 0;
	options.connectProperties = &properties;
	options.automaticReconnect = 1;
	options.onFailure5 = not_connected;
	MQTTAsync_connect(client, &options);
	MQTTProperties_free(&properties);
	return client;
}

/* A refusal has a code, and a text that names the rule, the queue or the limit. */
static inline void
print_refusal(const char *topic, MQTTAsync_failureData5 *d)
{
	MQTTProperty *why = MQTTProperties_getProperty(
	    &d->properties, MQTTPROPERTY_CODE_REASON_STRING);

	fprintf(stderr, "%s: refused: 0x%02x %.*s\n", topic, (unsigned)d->reasonCode,
	    why != NULL ? why->value.data.len : 0, why != NULL ? why->value.data.data : "");
}

static inline MQTTAsync_message
message_of(const char *payload, int qos)
{
	MQTTAsync_message m = MQTTAsync_message_initializer;

	m.payload = (char *)payload;
	m.payloadlen = (int)strlen(payload);
	m.qos = qos;
	return m;
}

static inline void
add_property(MQTTAsync_message *m, const char *name, const char *value)
{
	MQTTProperty p = {.identifier = MQTTPROPERTY_CODE_USER_PROPERTY};

	p.value.data = (MQTTLenString){(int)strlen(name), (char *)name};
	p.value.value = (MQTTLenString){(int)strlen(value), (char *)value};
	MQTTProperties_add(&m->properties, &p);
}

/* Either function may be NULL. The library sends properties only where it has options. */
static inline void
publish(MQTTAsync client, const char *topic, MQTTAsync_message *m, MQTTAsync_onSuccess5 *stored,
    MQTTAsync_onFailure5 *refused)
{
	MQTTAsync_responseOptions then = MQTTAsync_responseOptions_initializer;

	then.onSuccess5 = stored;
	then.onFailure5 = refused;
	MQTTAsync_sendMessage(client, topic, m, &then);
	MQTTProperties_free(&m->properties);
}

/* The value of a message's user property, "" without it; good until it is asked again. */
static inline const char *
get_property(MQTTAsync_message *m, const char *name)
{
	static char found[1100];

	found[0] = '\0';
	for (int i = 0; i < m->properties.count; i++) {
		MQTTProperty *p = &m->properties.array[i];

		if (p->identifier == MQTTPROPERTY_CODE_USER_PROPERTY &&
		    p->value.data.len == (int)strlen(name) &&
		    memcmp(p->value.data.data, name, strlen(name)) == 0)
			snprintf(
			    found, sizeof found, "%.*s", p->value.value.len, p->value.value.data);
	}
	return found;
}

/* Whether it was posted within these seconds. */
static inline int
wait_for(sem_t *done, int seconds)
{
	struct timespec until = {.tv_sec = time(NULL) + seconds};

	return sem_timedwait(done, &until) == 0;
}

#endif
