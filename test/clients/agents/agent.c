/* libpaho as an application that does what it is told: test/support/agents.py.
 *
 *   agent 3.1.1|5 */
#include <MQTTClient.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATIENCE_MS = 30000, LINE_MAX_BYTES = 4096 };

static int five;
static MQTTClient client;

static int
on_message(void *context, char *topic, int topic_len, MQTTClient_message *m)
{
	const unsigned char *p = m->payload;
	uint32_t sum = 0;

	(void)context;
	for (int i = 0; i < m->payloadlen; i++)
		sum += (uint32_t)(i + 1) * p[i];
	/* The length is 0 where the topic has no U+0000 in it. */
	printf("message %.*s %d %d %d %u\n", topic_len > 0 ? topic_len : (int)strlen(topic), topic,
	    m->qos, m->retained, m->payloadlen, sum);
	MQTTClient_freeMessage(&m);
	MQTTClient_free(topic);
	return 1;
}

/* A connection with MQTT 5's expiry, or without. */
static MQTTResponse
connect_now(MQTTClient_connectOptions *options, const char *expiry)
{
	MQTTProperties props = MQTTProperties_initializer;
	MQTTProperty property = {.identifier = MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL};
	MQTTResponse response = MQTTResponse_initializer;

	if (!five) {
		response.reasonCode = (enum MQTTReasonCodes)MQTTClient_connect(client, options);
		return response;
	}
	property.value.integer4 = (unsigned)strtoul(expiry, NULL, 10);
	MQTTProperties_add(&props, &property);
	response = MQTTClient_connect5(client, options, &props, NULL);
	MQTTProperties_free(&props);
	return response;
}

static void
do_connect(char *port, char *id, char *clean, char *expiry, char *will_topic, char *will_text)
{
	MQTTClient_createOptions create = MQTTClient_createOptions_initializer;
	MQTTClient_connectOptions options = MQTTClient_connectOptions_initializer;
	MQTTClient_connectOptions options5 = MQTTClient_connectOptions_initializer5;
	MQTTClient_willOptions will = MQTTClient_willOptions_initializer;
	char uri[64];
	MQTTResponse response;

	snprintf(uri, sizeof uri, "tcp://127.0.0.1:%s", port);
	create.MQTTVersion = five ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
	MQTTClient_destroy(&client);
	if (MQTTClient_createWithOptions(&client, uri, id, MQTTCLIENT_PERSISTENCE_NONE, NULL,
		&create) != MQTTCLIENT_SUCCESS ||
	    MQTTClient_setCallbacks(client, NULL, NULL, on_message, NULL) != MQTTCLIENT_SUCCESS) {
		puts("failed");
		return;
	}
	if (five)
		options = options5;
	options.MQTTVersion = create.MQTTVersion;
	options.cleansession = !five && *clean == '1';
	options.cleanstart = five && *clean == '1';
	will.topicName = will_topic;
	will.message = will_text;
	will.qos = 1;
	if (strcmp(will_topic, "-") != 0)
		options.will = &will;
	response = connect_now(&options, expiry);
	if (response.reasonCode != MQTTREASONCODE_SUCCESS)
		puts("failed");
	else if (five) /* which does not fill it in */
		puts("connected -");
	else
		printf("connected %d\n", options.returned.sessionPresent);
	MQTTResponse_free(response);
}

static void
do_subscribe(char *topic, char *qos)
{
	MQTTResponse response = MQTTResponse_initializer;
	int code;

	if (five) {
		response = MQTTClient_subscribe5(client, topic, atoi(qos), NULL, NULL);
		code = response.reasonCode > MQTTREASONCODE_GRANTED_QOS_2;
		MQTTResponse_free(response);
	} else {
		code = MQTTClient_subscribe(client, topic, atoi(qos));
	}
	puts(code == 0 ? "subscribed" : "failed");
}

static void
do_publish(char *topic, char *qos, char *retain, char *text, char *size)
{
	MQTTClient_message m = MQTTClient_message_initializer;
	size_t len = strtoul(size, NULL, 10), unit = strlen(text);
	char *payload = malloc(len + 1);
	MQTTClient_deliveryToken token = 0;
	int code;

	for (size_t i = 0; payload != NULL && i < len; i++)
		payload[i] = text[i % unit];
	m.payload = payload;
	m.payloadlen = (int)len;
	m.qos = atoi(qos);
	m.retained = *retain == '1';
	if (five) {
		MQTTResponse r = MQTTClient_publishMessage5(client, topic, &m, &token);

		code = (int)r.reasonCode;
		MQTTResponse_free(r);
	} else {
		code = MQTTClient_publishMessage(client, topic, &m, &token);
	}
	if (code == MQTTCLIENT_SUCCESS && m.qos > 0)
		code = MQTTClient_waitForCompletion(client, token, PATIENCE_MS);
	puts(code == MQTTCLIENT_SUCCESS ? "published" : "failed");
	free(payload);
}

static void
do_disconnect(void)
{
	int code = five ? MQTTClient_disconnect5(client, PATIENCE_MS, MQTTREASONCODE_SUCCESS, NULL)
			: MQTTClient_disconnect(client, PATIENCE_MS);

	puts(code == MQTTCLIENT_SUCCESS ? "disconnected" : "failed");
}

int
main(int argc, char **argv)
{
	static char line[LINE_MAX_BYTES];

	five = argc > 1 && strcmp(argv[1], "5") == 0;
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof line, stdin) != NULL) {
		char *words[8] = {0}, *verb = strtok(line, " \n");

		for (int i = 0; i < 8 && (words[i] = strtok(NULL, " \n")) != NULL; i++)
			;
		if (strcmp(verb, "connect") == 0)
			do_connect(words[0], words[1], words[2], words[3], words[4], words[5]);
		else if (strcmp(verb, "subscribe") == 0)
			do_subscribe(words[0], words[1]);
		else if (strcmp(verb, "publish") == 0)
			do_publish(words[0], words[1], words[2], words[3], words[4]);
		else
			do_disconnect();
	}
	return 0;
}
