// Publishes an order that the broker keeps, durably, and gives to its consumers some seconds
// later.   node delayed.js orders/2 5.00 10
const [topic = "orders/2", amount = "5.00", seconds = "10"] = process.argv.slice(2);
const client = require("mqtt").connect("mqtt://localhost:1883", { protocolVersion: 5 });

const properties = { userProperties: { "sqmqos-delay": seconds } };

client.publish(topic, amount, { qos: 1, properties }, (error, answer) => {
  if (error) { // as where the delay is no number (0x83), or as much waits as may (0x97)
    const why = answer?.properties?.reasonString ?? error.message;
    console.error(`${topic}: refused: 0x${error.code?.toString(16)} ${why}`);
    process.exitCode = 1;
  } else {
    console.log(`${topic}: comes in ${seconds} s`);
  }
  client.end();
});
