// Answers requests for prices. They come as its pod's annotations declare: all replicas share
// one queue, each request goes to one of them, and waits there while none is up.
const client = require("mqtt").connect("mqtt://localhost:1883", {
  protocolVersion: 5,
  clientId: "prices",
});

client.on("message", (_topic, item, { properties }) => {
  const { responseTopic, correlationData } = properties ?? {};
  if (!responseTopic) return;
  client.publish(responseTopic, `${item.length}.00`, { qos: 1, properties: { correlationData } });
});
