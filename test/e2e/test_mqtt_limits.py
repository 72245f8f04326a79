"""What the configuration limits and switches off, and what clients are told of it: MQTT 5.0
§3.2.2.3 (properties of CONNACK), §3.3.2.3.3 (message expiry), §1.5.4 (characters)."""

from mqtt import V5, V311, Will


# ---- message expiry

async def test_message_expiry(env):
    """The default and the longest of the broker, as MQTT 5 subscribers see them."""
    stack = await env.stack(broker={"message": {"expiry-default": "100s", "expiry-max": "200s"}})
    a, b = stack.ports
    sub = await env.connect(b, "sub")
    await sub.subscribe("live", "will", qos=1)
    old = await env.connect(a, "old", V311)
    new = await env.connect(a, "new", V5)

    async def arrives():
        return (await sub.receive()).props.get("message_expiry")

    async def near(expected):
        left = await arrives()
        assert expected - 30 <= left <= expected, (left, expected)

    await old.publish("live", b"x", 1)
    await near(100)
    await new.publish("live", b"x", 0)
    await near(100)
    await new.publish("live", b"x", 2, props={"message_expiry": 150})
    await near(150)
    await new.publish("live", b"x", 1, props={"message_expiry": 100000})
    await near(200)
    await old.publish("kept", b"x", 1, retain=True)
    await sub.subscribe("kept")
    await near(100)
    for version, props, expected in ((V311, None, 100), (V5, {"message_expiry": 999}, 200)):
        dying = env.client(f"dying-{version}", version)
        await dying.connect(a, will=Will("will", b"gone", 1, props=props))
        dying.abort()
        await near(expected)
    await old.publish("kept", b"", 1, retain=True)
