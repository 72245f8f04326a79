/* Takes the dead letters of its namespace, says what became of each, and sends it once more to
 * its old topic. They wait while nobody takes them, and several workers share them. */
#include "example.h"
#include <unistd.h>

/* As where its queue is full. libpaho has acknowledged the letter by then, since it does when
 * arrived() returns; the libraries of the other examples can wait with that. */
static void
refused(void *context, MQTTAsync_failureData5 *d)
{
	(void)context;
	print_refusal("a letter is lost", d);
}

/* By a key of its own: it is stored once, also if we die now and the letter comes again. */
static void
send_again(MQTTAsync client, const char *topic, MQTTAsync_message *letter)
{
	MQTTAsync_message m = *letter;
	char key[300];

	snprintf(key, sizeof key, "%.200s again", get_property(letter, "sqmqos-key"));
	m.properties = (MQTTProperties)MQTTProperties_initializer;
	m.qos = 2;
	add_property(&m, "sqmqos-key", key);
	add_property(&m, "sent-again", "yes");
	publish(client, topic, &m, NULL, refused);
}

static int
arrived(void *client, char *topic, int topic_len, MQTTAsync_message *m)
{
	const char *old = topic + strlen("$dead/");
	int last = *get_property(m, "sent-again") != '\0';

	(void)topic_len;
	printf("%s: %s", old, get_property(m, "sqmqos-dead-reason"));
	printf(
	    " in %s, %s\n", get_property(m, "sqmqos-dead-queue"), last ? "given up" : "sent again");
	if (!last)
		send_again(client, old, m);
	MQTTAsync_freeMessage(&m);
	MQTTAsync_free(topic);
	return 1;
}

static void
connected(void *client, char *cause)
{
	(void)cause;
	MQTTAsync_subscribe(client, "$dead/#", 1, NULL);
}

int
main(void)
{
	connect_as("dead-letters", 0, connected, arrived);
	for (;;)
		pause();
}
