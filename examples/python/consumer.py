"""A declared consumer: what the pod's annotation sqmqos.io/subscribe names comes to the client
with the id that sqmqos.io/client-id says, without a SUBSCRIBE, and waits while it is away."""

import paho.mqtt.client as mqtt


# The library acknowledges a message of QoS 1 when this returns. Where the process ends before,
# the message comes again, and after `max-attempts` times it becomes a dead letter.
def on_message(client, userdata, message):
    try:
        amount = float(message.payload)
    except ValueError:
        raise SystemExit(f"{message.topic}: '{message.payload.decode()}' is no amount") from None
    print(f"{message.topic}: {amount:.2f}", flush=True)


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "orders-worker", protocol=mqtt.MQTTv5)
client.on_message = on_message
client.connect("localhost", 1883)
client.loop_forever()  # connects again by itself
