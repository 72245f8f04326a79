/* Answers requests for prices. They come as its pod's annotations declare: all replicas share
 * one queue, each request goes to one of them, and waits there while none is up. */
#include "example.h"
#include <unistd.h>

static int
arrived(void *client, char *topic, int topic_len, MQTTAsync_message *m)
{
	MQTTProperty *to = MQTTProperties_getProperty(
	    &m->properties, MQTTPROPERTY_CODE_RESPONSE_TOPIC);
	MQTTProperty *id = MQTTProperties_getProperty(
	    &m->properties, MQTTPROPERTY_CODE_CORRELATION_DATA);
	char reply_to[256], price[16];

	(void)topic_len;
	if (to != NULL && id != NULL) {
		MQTTAsync_message reply;

		snprintf(price, sizeof price, "%d.00", m->payloadlen);
		reply = message_of(price, 1);
		snprintf(
		    reply_to, sizeof reply_to, "%.*s", to->value.data.len, to->value.data.data);
		MQTTProperties_add(&reply.properties, id);
		publish(client, reply_to, &reply, NULL, NULL);
	}
	MQTTAsync_freeMessage(&m);
	MQTTAsync_free(topic);
	return 1;
}

int
main(void)
{
	connect_as("prices", 0, NULL, arrived);
	for (;;)
		pause();
}
