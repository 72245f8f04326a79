"""Paho Python as an application that does what it is told: test/support/agents.py.

    agent.py 3.1.1|5"""

import os
import queue
import sys

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

FIVE = sys.argv[1] == "5"
PATIENCE_S = 30


def say(*words):
    """In one piece: the library's thread speaks, too."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


class Agent:
    def __init__(self):
        self.client = None
        self.answers = queue.Queue()

    def answer(self, word, more=""):
        failed, detail = self.answers.get(timeout=PATIENCE_S)
        say("failed" if failed else word, *([detail] if more else []))

    def make(self, name, clean):
        kind = {"protocol": mqtt.MQTTv5} if FIVE else \
            {"protocol": mqtt.MQTTv311, "clean_session": clean}
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, name, **kind)
        client.on_connect = lambda _c, _d, flags, code, _p: self.answers.put(
            (code.is_failure, int(flags.session_present)))
        client.on_subscribe = lambda _c, _d, _mid, codes, _p: self.answers.put(
            (codes[0].is_failure, codes[0]))
        client.on_publish = lambda _c, _d, _mid, code, _p: self.answers.put((code.is_failure, code))
        client.on_disconnect = lambda _c, _d, _f, code, _p: self.answers.put((code.is_failure, code))
        client.on_message = self.on_message
        return client

    @staticmethod
    def on_message(_client, _data, m):
        total = sum(n * byte for n, byte in enumerate(m.payload, 1)) % 2**32
        say("message", m.topic, m.qos, int(m.retain), len(m.payload), total)

    def connect(self, port, name, clean, expiry, will_topic, will_text):
        self.client = self.make(name, clean == "1")
        if will_topic != "-":
            self.client.will_set(will_topic, will_text, 1)
        more = {}
        if FIVE:
            more = {"clean_start": clean == "1", "properties": Properties(PacketTypes.CONNECT)}
            more["properties"].SessionExpiryInterval = int(expiry)
        self.client.connect("127.0.0.1", int(port), **more)
        self.client.loop_start()
        self.answer("connected", "present")

    def subscribe(self, topic, qos):
        self.client.subscribe(topic, int(qos))
        self.answer("subscribed")

    def publish(self, topic, qos, retain, text, size):
        payload = (text.encode() * (int(size) // len(text) + 1))[:int(size)]
        self.client.publish(topic, payload, int(qos), retain == "1")
        self.answer("published")

    def disconnect(self):
        self.client.disconnect()
        self.answer("disconnected")
        self.client.loop_stop()


def main():
    agent = Agent()
    for line in sys.stdin:
        verb, *words = line.split()
        getattr(agent, verb)(*words)


main()
