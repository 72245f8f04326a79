"""Takes the dead letters of its namespace, says what became of each, and sends it once more to
its old topic. They wait while nobody takes them, and several workers share them."""

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

sending = {}  # the letter of each message that is on its way


def on_connect(client, userdata, flags, reason, properties):
    sending.clear()  # what was not acknowledged comes again
    client.subscribe("$dead/#", qos=1)


def on_message(client, userdata, letter):
    topic = letter.topic.removeprefix("$dead/")
    about = dict(letter.properties.UserProperty)
    last = "sent-again" in about
    print(f"{topic}: {about['sqmqos-dead-reason']} in {about['sqmqos-dead-queue']},",
          "given up" if last else "sent again", flush=True)
    if last:
        client.ack(letter.mid, letter.qos)
        return
    # By a key of its own: it is stored once, also if we die now and the letter comes again.
    asks = Properties(PacketTypes.PUBLISH)
    asks.UserProperty = [("sqmqos-key", f"{about.get('sqmqos-key')} again"), ("sent-again", "yes")]
    sending[client.publish(topic, letter.payload, qos=2, properties=asks).mid] = letter


# The letter is acknowledged when the message is stored.
def on_publish(client, userdata, mid, reason, properties):
    if reason.is_failure:
        raise SystemExit("refused")  # the letter comes again
    if letter := sending.pop(mid, None):
        client.ack(letter.mid, letter.qos)


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "dead-letters", protocol=mqtt.MQTTv5,
                     manual_ack=True)
client.on_connect, client.on_message, client.on_publish = on_connect, on_message, on_publish
client.connect("localhost", 1883)
client.loop_forever()
