/* Publishes an order at QoS 3: stored once for its key, however often and by whomever it is
 * sent, never dropped, and a receipt tells what became of it.   publisher orders/1 9.90 */
#include "example.h"

static const char *topic, *amount;
static sem_t done;
static int code;

static void
stored(void *client, MQTTAsync_successData5 *d)
{
	(void)client, (void)d;
	printf("%s: stored\n", topic);
}

static void
refused(void *client, MQTTAsync_failureData5 *d)
{
	(void)client;
	print_refusal(topic, d);
	code = 1;
	sem_post(&done);
}

/* After a lost connection it is published again: a copy with the same key is not stored. */
static void
connected(void *client, char *cause)
{
	MQTTAsync_message m = message_of(amount, 2);

	(void)cause;
	add_property(&m, "sqmqos-key", topic);
	add_property(&m, "sqmqos-receipt", "receipts/orders");
	MQTTAsync_subscribe(client, "receipts/orders", 1, NULL);
	publish(client, topic, &m, stored, refused);
}

static int
arrived(void *client, char *receipts, int topic_len, MQTTAsync_message *m)
{
	(void)client, (void)topic_len;
	if (strcmp(get_property(m, "sqmqos-key"), topic) == 0) {
		printf("%s: %s\n", topic, get_property(m, "sqmqos-outcome"));
		sem_post(&done);
	}
	MQTTAsync_freeMessage(&m);
	MQTTAsync_free(receipts);
	return 1;
}

int
main(int argc, char **argv)
{
	topic = argc > 1 ? argv[1] : "orders/1";
	amount = argc > 2 ? argv[2] : "9.90";
	sem_init(&done, 0, 0);
	connect_as("shop", 3600, connected, arrived);
	if (!wait_for(&done, 10)) /* it waits in our session, unless we have published a copy */
		printf("%s: no receipt yet\n", topic);
	return code;
}
