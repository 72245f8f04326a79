/* Publishes an order that the broker keeps, durably, and gives to its consumers some seconds
 * later.   delayed orders/2 5.00 10 */
#include "example.h"

static const char *topic, *amount, *seconds;
static sem_t done;
static int code;

static void
kept(void *client, MQTTAsync_successData5 *d)
{
	(void)client, (void)d;
	printf("%s: comes in %s s\n", topic, seconds);
	sem_post(&done);
}

/* As where the delay is no number (0x83), or as much waits as may (0x97). */
static void
refused(void *client, MQTTAsync_failureData5 *d)
{
	(void)client;
	print_refusal(topic, d);
	code = 1;
	sem_post(&done);
}

static void
connected(void *client, char *cause)
{
	MQTTAsync_message m = message_of(amount, 1);

	(void)cause;
	add_property(&m, "sqmqos-delay", seconds);
	publish(client, topic, &m, kept, refused);
}

int
main(int argc, char **argv)
{
	topic = argc > 1 ? argv[1] : "orders/2";
	amount = argc > 2 ? argv[2] : "5.00";
	seconds = argc > 3 ? argv[3] : "10";
	sem_init(&done, 0, 0);
	connect_as("planner", 0, connected, NULL);
	sem_wait(&done);
	return code;
}
