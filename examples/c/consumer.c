/* A declared consumer: what the pod's annotation sqmqos.io/subscribe names comes to the client
 * with the id that sqmqos.io/client-id says, without a SUBSCRIBE, and waits while it is away. */
#include "example.h"
#include <unistd.h>

/* The library acknowledges a message of QoS 1 when this returns. Where the process ends before,
 * the message comes again, and after `max-attempts` times it becomes a dead letter. */
static int
arrived(void *client, char *topic, int topic_len, MQTTAsync_message *m)
{
	char text[32], *end;
	double amount;

	(void)client, (void)topic_len;
	snprintf(text, sizeof text, "%.*s", m->payloadlen, (const char *)m->payload);
	amount = strtod(text, &end);
	if (end == text || *end != '\0') {
		fprintf(stderr, "%s: '%s' is no amount\n", topic, text);
		_exit(1);
	}
	printf("%s: %.2f\n", topic, amount);
	MQTTAsync_freeMessage(&m);
	MQTTAsync_free(topic);
	return 1;
}

int
main(void)
{
	connect_as("orders-worker", 0, NULL, arrived);
	for (;;)
		pause();
}
