// A declared consumer: what the pod's annotation sqmqos.io/subscribe names comes to the client
// with the id that sqmqos.io/client-id says, without a SUBSCRIBE, and waits while it is away.
const client = require("mqtt").connect("mqtt://localhost:1883", {
  protocolVersion: 5,
  clientId: "orders-worker", // it connects again by itself
});

// The library acknowledges a message of QoS 1 when done() is called. Where the process ends
// before, the message comes again, and after `max-attempts` times it becomes a dead letter.
client.handleMessage = (message, done) => {
  const amount = Number(message.payload.toString() || NaN);
  if (Number.isNaN(amount)) throw new Error(`${message.topic}: '${message.payload}' is no amount`);
  console.log(`${message.topic}: ${amount.toFixed(2)}`);
  done();
};
