/* Asks for a price, and waits for the answer: an MQTT 5 request says where its reply goes to,
 * and by what it is known.   requester shirt */
#include "example.h"
#include <unistd.h>

enum { PATIENCE_S = 10 };

static const char *item;
static char host[64], reply_to[128], id[32];
static sem_t done;

static void
add_data(MQTTAsync_message *m, enum MQTTPropertyCodes name, char *value)
{
	MQTTProperty p = {.identifier = name, .value.data = {(int)strlen(value), value}};

	MQTTProperties_add(&m->properties, &p);
}

/* A request that nobody has taken by then expires. */
static void
connected(void *client, char *cause)
{
	MQTTAsync_message m = message_of(item, 1);
	MQTTProperty expiry = {
	    .identifier = MQTTPROPERTY_CODE_MESSAGE_EXPIRY_INTERVAL, .value.integer4 = PATIENCE_S};

	(void)cause;
	add_data(&m, MQTTPROPERTY_CODE_RESPONSE_TOPIC, reply_to);
	add_data(&m, MQTTPROPERTY_CODE_CORRELATION_DATA, id);
	MQTTProperties_add(&m.properties, &expiry);
	MQTTAsync_subscribe(client, reply_to, 1, NULL);
	publish(client, "prices/get", &m, NULL, NULL);
}

/* What answers another request, perhaps of an earlier run, is passed by. */
static int
arrived(void *client, char *topic, int topic_len, MQTTAsync_message *m)
{
	MQTTProperty *of = MQTTProperties_getProperty(
	    &m->properties, MQTTPROPERTY_CODE_CORRELATION_DATA);

	(void)client, (void)topic_len;
	if (of != NULL && of->value.data.len == (int)strlen(id) &&
	    memcmp(of->value.data.data, id, strlen(id)) == 0) {
		printf("%s: %.*s\n", item, m->payloadlen, (const char *)m->payload);
		sem_post(&done);
	}
	MQTTAsync_freeMessage(&m);
	MQTTAsync_free(topic);
	return 1;
}

int
main(int argc, char **argv)
{
	item = argc > 1 ? argv[1] : "shirt";
	gethostname(host, sizeof host - 1); /* on Kubernetes the pod's name: no other has it */
	snprintf(reply_to, sizeof reply_to, "replies/%s", host);
	snprintf(id, sizeof id, "%d-%ld", (int)getpid(), (long)time(NULL));
	sem_init(&done, 0, 0);
	connect_as("requester", 0, connected, arrived);
	if (wait_for(&done, PATIENCE_S))
		return 0;
	fprintf(stderr, "%s: no answer\n", item);
	return 1;
}
