// Takes the dead letters of its namespace, says what became of each, and sends it once more to
// its old topic. They wait while nobody takes them, and several workers share them.
const { connect } = require("mqtt");
const client = connect("mqtt://localhost:1883", { protocolVersion: 5, clientId: "dead-letters" });
// The first one reads nothing between a letter and its done(), answers neither.
const sender = connect("mqtt://localhost:1883", { protocolVersion: 5 });

client.subscribe("$dead/#", { qos: 1 }); // and again by itself after a lost connection

client.handleMessage = (letter, done) => {
  const topic = letter.topic.slice("$dead/".length);
  const about = letter.properties.userProperties;
  const last = "sent-again" in about;
  const outcome = last ? "given up" : "sent again";
  console.log(`${topic}: ${about["sqmqos-dead-reason"]} in ${about["sqmqos-dead-queue"]}, ${outcome}`);
  if (last) return done();

  // By a key of its own: it is stored once, also if we die now and the letter comes again. The
  // letter is acknowledged by done(), when the message is stored.
  const userProperties = { "sqmqos-key": `${about["sqmqos-key"]} again`, "sent-again": "yes" };
  sender.publish(topic, letter.payload, { qos: 2, properties: { userProperties } }, (error) => {
    if (error) throw error; // the letter comes again
    done();
  });
};
