"""The apps of the test cases: an ordinary MQTT client (paho) that knows of SQMQOS what any
app is told: $SQMQOS_URL.  It runs in pods, from a ConfigMap.

  app.py publish NAME --topic T [--qos Q] [--count N] [--rate PER_S] [--size BYTES] [--stay]
  app.py consume NAME [--subscribe FILTER ...] [--qos Q] [--work MS] [--receive-max N]
  both:               [--client-id ID] [--expiry S] [--clean]

{pod} in NAME is the pod's name.  What happens is told to $RECORDER (host:port), a line of JSON
each: connected, subscribed, disconnected, acked (n), got (topic, text), done, stopping.  A
consumer reports a message when MQTT hands it over, and works so long on it.  At SIGTERM an app
ends as a well-behaved one does: a publisher when all that it sent is acknowledged; a consumer
takes nothing more, and finishes what it has begun."""

import argparse
import json
import os
import signal
import socket
import sys
import time
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

CONNECT_S = 0.2
WINDOW = 50


class Recorder:
    """Tells the test; waits for it where it can't be reached."""

    def __init__(self, name):
        self.about = {"who": name, "pod": os.environ.get("HOSTNAME", "?")}
        self.socket = None
        host, _, port = os.environ["RECORDER"].rpartition(":")
        while self.socket is None:
            try:
                self.socket = socket.create_connection((host, int(port)), 5)
            except OSError:
                time.sleep(0.1)

    def tell(self, event, **more):
        line = json.dumps(self.about | {"event": event, "at": time.time()} | more)
        print(line, flush=True)
        self.socket.sendall(line.encode() + b"\n")


class App:
    def __init__(self, args):
        self.args = args
        self.recorder = Recorder(args.name)
        self.stopping = False
        self.up = False
        signal.signal(signal.SIGTERM, self.on_term)
        self.client = mqtt.Client(args.client_id or "", protocol=mqtt.MQTTv5)
        self.client.max_inflight_messages_set(WINDOW)
        self.client.on_connect = self.on_connect
        self.client.on_disconnect = self.on_disconnect
        self.client.on_message = self.on_message
        self.client.on_publish = self.on_publish
        self.client.on_subscribe = self.on_subscribe
        self.reset = self.client._messages_reconnect_reset_out  # pylint: disable=protected-access
        self.client._messages_reconnect_reset_out = self.on_reset  # pylint: disable=protected-access
        self.numbers = {}
        self.take = self.client._handle_publish  # pylint: disable=protected-access
        self.client._handle_publish = self.on_packet  # pylint: disable=protected-access
        self.left = args.count if args.what == "publish" else 0

    def on_term(self, *_):
        self.stopping = True

    def on_connect(self, _client, _data, flags, reason, _properties):
        self.up = reason == 0
        self.recorder.tell("connected" if self.up else "refused", reason=str(reason),
                           present=bool(flags.get("session present")))
        if self.up and self.args.what == "consume":
            for topic in self.args.subscribe:
                self.client.subscribe(topic, self.args.qos)

    def on_disconnect(self, _client, _data, reason, _properties=None):
        self.up = False
        if not self.stopping:
            self.recorder.tell("disconnected", reason=str(reason))

    def on_subscribe(self, _client, _data, _mid, reasons, _properties=None):
        self.recorder.tell("subscribed", reasons=[str(r) for r in reasons])

    def on_packet(self):
        """Without an acknowledgement it stays the broker's."""
        return mqtt.MQTT_ERR_SUCCESS if self.stopping else self.take()

    def on_reset(self):
        """paho forgets at a second attempt to connect that it has released a message, and would
        publish it again."""
        of = self.client._out_messages.values()  # pylint: disable=protected-access
        states = (mqtt.mqtt_ms_wait_for_pubcomp, mqtt.mqtt_ms_resend_pubrel)
        released = [m for m in of if m.state in states and not self.args.clean]
        self.reset()
        for m in released:
            m.state = mqtt.mqtt_ms_resend_pubrel

    def on_message(self, _client, _data, m):
        users = dict(getattr(m.properties, "UserProperty", []))
        self.recorder.tell("got", topic=m.topic, text=m.payload.decode().split(" ")[0], qos=m.qos,
                           dup=bool(m.dup), dead=users.get("sqmqos-dead-reason"))
        time.sleep(self.args.work / 1000)

    def on_publish(self, _client, _data, mid):
        self.recorder.tell("acked", n=self.numbers.pop(mid))

    def connect(self):
        url = urlsplit(os.environ["SQMQOS_URL"])
        properties = Properties(PacketTypes.CONNECT)
        if self.args.expiry:
            properties.SessionExpiryInterval = self.args.expiry
        # One at a time: so there are moments between two messages.
        properties.ReceiveMaximum = self.args.receive_max
        self.client.connect(url.hostname, url.port, 30, clean_start=self.args.clean,
                            properties=properties)

    def connected(self):
        """A turn of the loop; connects where there is no connection."""
        if self.client.loop(0.02) != mqtt.MQTT_ERR_SUCCESS or not self.client.is_connected():
            if self.client._sock is None:  # pylint: disable=protected-access
                try:
                    self.connect()
                except OSError:
                    time.sleep(CONNECT_S)
        return self.up

    def publish(self):
        started, sent, total = time.monotonic(), 0, self.args.count
        while self.numbers or not self.stopping and (self.left > 0 or self.args.stay):
            if not self.connected() or self.stopping:
                continue
            due = min(total, int((time.monotonic() - started) * self.args.rate) + 1)
            while sent < due and len(self.numbers) < WINDOW and self.up:
                text = f"{self.args.name}:{sent + 1} ".ljust(self.args.size, "x")
                info = self.client.publish(self.args.topic, text, self.args.qos)
                sent += 1
                self.left -= 1
                if self.args.qos:
                    self.numbers[info.mid] = sent
        self.recorder.tell("done", sent=sent)

    def consume(self):
        while not (self.stopping and not self.client._in_messages):  # pylint: disable=protected-access
            self.connected()

    def run(self):
        getattr(self, self.args.what)()
        self.recorder.tell("stopping")
        self.client.disconnect()
        self.client.loop(0.2)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("publish", "consume"))
    parser.add_argument("name")
    parser.add_argument("--topic")
    parser.add_argument("--subscribe", nargs="*", default=[])
    parser.add_argument("--qos", type=int, default=1)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--rate", type=float, default=1000.0)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--stay", action="store_true")
    parser.add_argument("--client-id")
    parser.add_argument("--expiry", type=int, default=0)
    parser.add_argument("--clean", action="store_true")
    parser.add_argument("--receive-max", type=int, default=1)
    parser.add_argument("--work", type=float, default=0)
    args = parser.parse_args()
    args.name = args.name.replace("{pod}", os.environ.get("HOSTNAME", "?"))
    App(args).run()


if __name__ == "__main__":
    sys.exit(main())
