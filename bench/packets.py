"""Packets of MQTT 5.0 for what the generator does not make: sessions that stay behind."""

import struct

KEPT_S = 3600


def string(text):
    return struct.pack(">H", len(text.encode())) + text.encode()


def packet(kind, body):
    assert len(body) < 128, "one byte says how long it is"
    return bytes([kind, len(body)]) + body


def connect(client_id):
    """CONNECT that keeps its session for an hour."""
    return packet(0x10, b"\0\4MQTT\5\0\0\0" b"\5\x11" + struct.pack(">I", KEPT_S) + string(client_id))


def subscribe(topic):
    """SUBSCRIBE at QoS 1."""
    return packet(0x82, b"\0\1\0" + string(topic) + b"\1")


DISCONNECT = b"\xe0\0"
