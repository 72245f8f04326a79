// MQTT.js as an application that does what it is told: test/support/agents.py.
//
//   node agent.js 3.1.1|5
'use strict';

const readline = require('readline');
const mqtt = require('mqtt');

const five = process.argv[2] === '5';
let client;

const say = (...words) => console.log(words.join(' '));

function onMessage(topic, payload, packet) {
    let sum = 0;
    for (let n = 0; n < payload.length; n++)
        sum = (sum + (n + 1) * payload[n]) % 4294967296;
    say('message', topic, packet.qos, packet.retain ? 1 : 0, payload.length, sum);
}

const verbs = {
    connect(done, port, clientId, clean, expiry, willTopic, willText) {
        client = mqtt.connect(`mqtt://127.0.0.1:${port}`, {
            clientId, clean: clean === '1', protocolVersion: five ? 5 : 4, reconnectPeriod: 0,
            properties: five ? { sessionExpiryInterval: Number(expiry) } : undefined,
            will: willTopic === '-' ? undefined : { topic: willTopic, payload: willText, qos: 1 },
        });
        client.on('message', onMessage);
        client.on('error', (e) => say('failed', e.message));
        client.on('connect', (packet) => done('connected', packet.sessionPresent ? 1 : 0));
    },
    subscribe(done, topic, qos) {
        client.subscribe(topic, { qos: Number(qos) }, (e, granted) =>
            done(e || granted[0].qos > 2 ? 'failed' : 'subscribed'));
    },
    publish(done, topic, qos, retain, text, size) {
        const payload = Buffer.alloc(Number(size), text);
        client.publish(topic, payload, { qos: Number(qos), retain: retain === '1' }, (e) =>
            done(e ? 'failed' : 'published'));
    },
    disconnect(done) {
        client.end(false, {}, () => done('disconnected'));
    },
};

// One after the other, as they were said.
let last = Promise.resolve();
readline.createInterface({ input: process.stdin }).on('line', (line) => {
    const [verb, ...words] = line.split(' ');
    last = last.then(() => new Promise((resolve) => verbs[verb]((...answer) => {
        say(...answer);
        resolve();
    }, ...words)));
}).on('close', () => process.exit(0));
