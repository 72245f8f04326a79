// Publishes an order at QoS 3: stored once for its key, however often and by whomever it is
// sent, never dropped, and a receipt tells what became of it.   node publisher.js orders/1 9.90
const [topic = "orders/1", amount = "9.90"] = process.argv.slice(2);
const client = require("mqtt").connect("mqtt://localhost:1883", {
  protocolVersion: 5,
  clientId: "shop",
  clean: false, // a durable session: receipts wait for us
  properties: { sessionExpiryInterval: 3600 },
});

// The library sends it again after a lost connection. A copy with the same key is not stored.
client.subscribe("receipts/orders", { qos: 1 }, () => {
  const userProperties = { "sqmqos-key": topic, "sqmqos-receipt": "receipts/orders" };
  client.publish(topic, amount, { qos: 2, properties: { userProperties } }, published);
});

// A refusal has a code, and a text that names the rule, the queue or the limit.
function published(error, answer) {
  if (!error) return console.log(`${topic}: stored`);
  const why = answer?.properties?.reasonString ?? error.message;
  console.error(`${topic}: refused: 0x${error.code?.toString(16)} ${why}`);
  leave(1);
}

client.on("message", (_topic, _payload, { properties }) => {
  if (properties.userProperties["sqmqos-key"] !== topic) return; // of an earlier order
  console.log(`${topic}: ${properties.userProperties["sqmqos-outcome"]}`);
  leave(0);
});

const patience = setTimeout(() => {
  console.log(`${topic}: no receipt yet`); // it waits in our session, unless this was a copy
  leave(0);
}, 10000);

function leave(code) {
  clearTimeout(patience);
  process.exitCode = code;
  // What is refused at QoS 2 stays unfinished in the library, so do not wait for it.
  setImmediate(() => client.end(code !== 0));
}
