// Asks for a price, and waits for the answer: an MQTT 5 request says where its reply goes to,
// and by what it is known.   node requester.js shirt
const { randomUUID } = require("crypto");
const { hostname } = require("os");
const [item = "shirt"] = process.argv.slice(2);
const client = require("mqtt").connect("mqtt://localhost:1883", { protocolVersion: 5 });

const patience = 10; // seconds; a request that nobody has taken by then expires
const responseTopic = `replies/${hostname()}`; // on Kubernetes the pod's name: no other has it
const correlationData = Buffer.from(randomUUID());

client.subscribe(responseTopic, { qos: 1 }, () => {
  const properties = { responseTopic, correlationData, messageExpiryInterval: patience };
  client.publish("prices/get", item, { qos: 1, properties });
});

client.on("message", (_topic, price, { properties }) => {
  // What answers another request, perhaps of an earlier run, is passed by.
  if (!properties?.correlationData?.equals(correlationData)) return;
  console.log(`${item}: ${price}`);
  leave(0);
});

const timer = setTimeout(() => {
  console.error(`${item}: no answer`);
  leave(1);
}, patience * 1000);

function leave(code) {
  clearTimeout(timer);
  process.exitCode = code;
  client.end();
}
