"""Publishes an order that the broker keeps, durably, and gives to its consumers some seconds
later.   delayed.py orders/2 5.00 10"""

import sys

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

topic, amount, seconds = sys.argv[1:4] if len(sys.argv) > 3 else ("orders/2", "5.00", "10")
asks = Properties(PacketTypes.PUBLISH)
asks.UserProperty = ("sqmqos-delay", seconds)


def on_publish(client, userdata, mid, reason, properties):
    if reason.is_failure:  # as where the delay is no number (0x83), or as much waits as may (0x97)
        why = getattr(properties, "ReasonString", reason)
        sys.exit(f"{topic}: refused: 0x{reason.value:02x} {why}")
    print(f"{topic}: comes in {seconds} s")
    client.disconnect()


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
client.on_publish = on_publish
client.connect("localhost", 1883)
client.publish(topic, amount, qos=1, properties=asks)  # again by itself after a lost connection
client.loop_forever()
