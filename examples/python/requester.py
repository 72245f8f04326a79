"""Asks for a price, and waits for the answer: an MQTT 5 request says where its reply goes to,
and by what it is known.   requester.py shirt"""

import queue
import socket
import sys
import uuid

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

item = sys.argv[1] if len(sys.argv) > 1 else "shirt"
patience_s = 10
asks = Properties(PacketTypes.PUBLISH)
asks.ResponseTopic = f"replies/{socket.gethostname()}"  # on Kubernetes the pod's name
asks.CorrelationData = uuid.uuid4().bytes
asks.MessageExpiryInterval = patience_s  # where nobody has taken it by then
answers = queue.Queue()


def on_connect(client, userdata, flags, reason, properties):
    client.subscribe(asks.ResponseTopic, qos=1)
    client.publish("prices/get", item, qos=1, properties=asks)


def on_message(client, userdata, reply):
    # What answers another request, perhaps of an earlier run, is passed by.
    if getattr(reply.properties, "CorrelationData", None) == asks.CorrelationData:
        answers.put(reply.payload.decode())


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
client.on_connect, client.on_message = on_connect, on_message
client.connect("localhost", 1883)
client.loop_start()  # a thread, which connects again by itself
try:
    print(f"{item}: {answers.get(timeout=patience_s)}")
except queue.Empty:
    sys.exit(f"{item}: no answer")
finally:
    client.disconnect()
    client.loop_stop()
