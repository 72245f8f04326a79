/* An ordinary C application: libpaho publishes on one port and subscribes on
 * another, at every QoS and from 1 byte to 1 MiB.  Ends with 0 when all of it
 * arrived as it was sent.
 *
 *   paho_exchange PUBLISH_PORT SUBSCRIBE_PORT 4|5 */
#include <MQTTClient.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WAIT_S 30

static const int sizes[] = {1, 100, 4096, 70000, 1 << 20};
#define N_SIZES (sizeof sizes / sizeof sizes[0])

/* The last message that has arrived; the library's thread writes it. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned count;
	int qos, size, bad_bytes;
} inbox = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void
die(const char *what, int code)
{
	fprintf(stderr, "paho_exchange: %s (%d)\n", what, code);
	exit(1);
}

static unsigned char
pattern(int at)
{
	return (unsigned char)((unsigned)at * 31u + 7u);
}

static int
arrived(void *context, char *topic, int topic_len, MQTTClient_message *m)
{
	const unsigned char *payload = m->payload;

	(void)context;
	(void)topic_len;
	pthread_mutex_lock(&inbox.lock);
	inbox.bad_bytes = 0;
	for (int i = 0; i < m->payloadlen; i++)
		inbox.bad_bytes += payload[i] != pattern(i);
	inbox.qos = m->qos;
	inbox.size = m->payloadlen;
	inbox.count++;
	pthread_cond_signal(&inbox.changed);
	pthread_mutex_unlock(&inbox.lock);
	MQTTClient_freeMessage(&m);
	MQTTClient_free(topic);
	return 1;
}

static void
lost(void *context, char *cause)
{
	(void)context;
	(void)cause;
	die("connection lost", 0);
}

static MQTTClient
open_client(const char *port, const char *id, bool v5)
{
	MQTTClient_createOptions create = MQTTClient_createOptions_initializer;
	MQTTClient_connectOptions v3_options = MQTTClient_connectOptions_initializer;
	MQTTClient_connectOptions v5_options = MQTTClient_connectOptions_initializer5;
	MQTTClient_connectOptions *options = v5 ? &v5_options : &v3_options;
	MQTTClient client;
	char uri[64];
	int rc;

	snprintf(uri, sizeof uri, "tcp://127.0.0.1:%s", port);
	create.MQTTVersion = v5 ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
	rc = MQTTClient_createWithOptions(
	    &client, uri, id, MQTTCLIENT_PERSISTENCE_NONE, NULL, &create);
	if (rc != MQTTCLIENT_SUCCESS)
		die("create", rc);
	rc = MQTTClient_setCallbacks(client, NULL, lost, arrived, NULL);
	if (rc != MQTTCLIENT_SUCCESS)
		die("callbacks", rc);
	options->MQTTVersion = create.MQTTVersion;
	if (v5) {
		MQTTResponse response = MQTTClient_connect5(client, options, NULL, NULL);

		rc = response.reasonCode;
		MQTTResponse_free(response);
	} else {
		rc = MQTTClient_connect(client, options);
	}
	if (rc != MQTTCLIENT_SUCCESS)
		die("connect", rc);
	return client;
}

static void
subscribe(MQTTClient client, const char *filter, bool v5)
{
	int rc;

	if (v5) {
		MQTTResponse response = MQTTClient_subscribe5(client, filter, 2, NULL, NULL);

		rc = response.reasonCode;
		MQTTResponse_free(response);
	} else {
		rc = MQTTClient_subscribe(client, filter, 2);
	}
	if (rc != 2 && rc != MQTTCLIENT_SUCCESS)
		die("subscribe", rc);
}

static void
publish(MQTTClient client, void *payload, int size, int qos, bool v5)
{
	MQTTClient_deliveryToken token;
	int rc;

	if (v5) {
		MQTTResponse response = MQTTClient_publish5(
		    client, "paho/exchange", size, payload, qos, 0, NULL, &token);

		rc = response.reasonCode;
		MQTTResponse_free(response);
	} else {
		rc = MQTTClient_publish(client, "paho/exchange", size, payload, qos, 0, &token);
	}
	if (rc != MQTTCLIENT_SUCCESS)
		die("publish", rc);
	if (qos > 0) {
		rc = MQTTClient_waitForCompletion(client, token, WAIT_S * 1000);
		if (rc != MQTTCLIENT_SUCCESS)
			die("not acknowledged", rc);
	}
}

static void
await_message(unsigned count, int size, int qos)
{
	struct timespec deadline;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += WAIT_S;
	pthread_mutex_lock(&inbox.lock);
	while (inbox.count < count) {
		if (pthread_cond_timedwait(&inbox.changed, &inbox.lock, &deadline) != 0)
			die("message did not arrive, size", size);
	}
	if (inbox.count != count || inbox.size != size || inbox.qos != qos || inbox.bad_bytes != 0)
		die("message arrived changed or doubled, size", size);
	pthread_mutex_unlock(&inbox.lock);
}

int
main(int argc, char **argv)
{
	MQTTClient publisher, subscriber;
	unsigned char *payload = malloc((size_t)sizes[N_SIZES - 1]);
	unsigned count = 0;
	bool v5;

	if (argc != 4 || payload == NULL)
		die("usage: paho_exchange PUBLISH_PORT SUBSCRIBE_PORT 4|5", 2);
	v5 = argv[3][0] == '5';
	for (int i = 0; i < sizes[N_SIZES - 1]; i++)
		payload[i] = pattern(i);
	subscriber = open_client(argv[2], v5 ? "paho-sub-5" : "paho-sub-4", v5);
	publisher = open_client(argv[1], v5 ? "paho-pub-5" : "paho-pub-4", v5);
	subscribe(subscriber, "paho/+", v5);
	for (size_t i = 0; i < N_SIZES; i++) {
		for (int qos = 0; qos <= 2; qos++) {
			publish(publisher, payload, sizes[i], qos, v5);
			await_message(++count, sizes[i], qos);
		}
	}
	if (v5) {
		MQTTClient_disconnect5(publisher, 1000, MQTTREASONCODE_SUCCESS, NULL);
		MQTTClient_disconnect5(subscriber, 1000, MQTTREASONCODE_SUCCESS, NULL);
	} else {
		MQTTClient_disconnect(publisher, 1000);
		MQTTClient_disconnect(subscriber, 1000);
	}
	MQTTClient_destroy(&publisher);
	MQTTClient_destroy(&subscriber);
	free(payload);
	printf("%u messages\n", count);
	return 0;
}
