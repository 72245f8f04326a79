"""Publishes an order at QoS 3: stored once for its key, however often and by whomever it is
sent, never dropped, and a receipt tells what became of it.   publisher.py orders/1 9.90

paho does not show a refusal at QoS 2. So it publishes at QoS 1, and a rule of the pod's
annotation sqmqos.io/publish asks for QoS 3, for the key and for the receipt."""

import queue
import sys

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

topic, amount = sys.argv[1:3] if len(sys.argv) > 2 else ("orders/1", "9.90")
session = Properties(PacketTypes.CONNECT)
session.SessionExpiryInterval = 3600  # receipts wait for us
asks = Properties(PacketTypes.PUBLISH)
asks.UserProperty = ("order-id", topic)  # which the rule makes the key
outcomes = queue.Queue()


# After a lost connection it is published again: a copy with the same key is not stored.
def on_connect(client, userdata, flags, reason, properties):
    client.subscribe("receipts/orders", qos=1)
    client.publish(topic, amount, qos=1, properties=asks)


# A refusal has a code, and a text that names the rule, the queue or the limit.
def on_publish(client, userdata, mid, reason, properties):
    if reason.is_failure:
        why = getattr(properties, "ReasonString", reason)
        outcomes.put(f"refused: 0x{reason.value:02x} {why}")
    else:
        print(f"{topic}: stored")


def on_message(client, userdata, receipt):
    about = dict(receipt.properties.UserProperty)
    if about.get("sqmqos-key") == topic:  # not of an earlier order
        outcomes.put(about["sqmqos-outcome"])


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "shop", protocol=mqtt.MQTTv5)
client.on_connect, client.on_publish, client.on_message = on_connect, on_publish, on_message
client.connect("localhost", 1883, clean_start=False, properties=session)
client.loop_start()  # a thread, which connects again by itself
try:
    outcome = outcomes.get(timeout=10)
except queue.Empty:
    outcome = "no receipt yet"  # it waits in our session, unless this was a copy
client.disconnect()
client.loop_stop()
print(f"{topic}: {outcome}")
sys.exit(1 if outcome.startswith("refused") else 0)
