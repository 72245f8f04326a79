"""Answers requests for prices. They come as its pod's annotations declare: all replicas share
one queue, each request goes to one of them, and waits there while none is up."""

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties


def on_message(client, userdata, request):
    to = getattr(request.properties, "ResponseTopic", None)
    if to is None:
        return
    known_by = Properties(PacketTypes.PUBLISH)
    known_by.CorrelationData = getattr(request.properties, "CorrelationData", b"")
    client.publish(to, f"{len(request.payload)}.00", qos=1, properties=known_by)


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "prices", protocol=mqtt.MQTTv5)
client.on_message = on_message
client.connect("localhost", 1883)
client.loop_forever()  # connects again by itself
