// An ordinary Node application: MQTT.js publishes on one port and subscribes on
// another. Ends with 0 when all of it arrived as it was sent.
//
//   node mqttjs.js PUBLISH_PORT SUBSCRIBE_PORT 4|5
'use strict';

const mqtt = require('mqtt');
const [publishPort, subscribePort, version] = process.argv.slice(2);
const protocolVersion = Number(version);
const sizes = [1, 100, 4096, 70000, 1 << 20];
const arrived = [];
let wake = () => {};

function fail(why) {
    console.error(`mqttjs: ${why}`);
    process.exit(1);
}

function open(port, name, more = {}) {
    const client = mqtt.connect(`mqtt://127.0.0.1:${port}`, {
        clientId: `mqttjs-${name}-${version}`, protocolVersion, reconnectPeriod: 0, ...more,
    });
    client.on('error', (e) => fail(`${name}: ${e.message}`));
    return new Promise((resolve) => client.on('connect', () => resolve(client)));
}

const publish = (client, topic, payload, options) => new Promise((resolve, reject) =>
    client.publish(topic, payload, options, (e) => (e ? reject(e) : resolve())));

const subscribe = (client, topic) => new Promise((resolve, reject) =>
    client.subscribe(topic, { qos: 2 }, (e, granted) =>
        (e || granted[0].qos > 2 ? reject(e || new Error('refused')) : resolve())));

async function next() {
    while (arrived.length === 0)
        await new Promise((resolve) => { wake = resolve; });
    return arrived.shift();
}

async function expect(topic, payload, qos, retain) {
    const [gotTopic, gotPayload, packet] = await next();
    if (gotTopic !== topic || packet.qos !== qos || packet.retain !== retain ||
        Buffer.compare(gotPayload, payload) !== 0)
        fail(`expected ${topic} (${payload.length} bytes, QoS ${qos}, retain ${retain}), got ` +
             `${gotTopic} (${gotPayload.length} bytes, QoS ${packet.qos}, retain ${packet.retain})`);
    return packet;
}

async function main() {
    setTimeout(() => fail('not finished in 60 s'), 60000).unref();
    const sub = await open(subscribePort, 'sub');
    const pub = await open(publishPort, 'pub');
    sub.on('message', (...m) => { arrived.push(m); wake(); });
    await subscribe(sub, 'js/#');
    for (const size of sizes) {
        for (const qos of [0, 1, 2]) {
            const payload = Buffer.alloc(size, `${size}:${qos};`);
            const properties = protocolVersion === 5
                ? { contentType: 'text/plain', userProperties: { size: `${size}` } } : undefined;
            await publish(pub, 'js/exchange', payload, { qos, properties });
            const packet = await expect('js/exchange', payload, qos, false);
            if (properties && packet.properties.userProperties.size !== `${size}`)
                fail('the user property was lost');
        }
    }
    await publish(pub, 'kept/js', Buffer.from('kept'), { qos: 1, retain: true });
    await subscribe(sub, 'kept/#');
    await expect('kept/js', Buffer.from('kept'), 1, true);
    await publish(pub, 'kept/js', Buffer.alloc(0), { qos: 1, retain: true });
    await expect('kept/js', Buffer.alloc(0), 1, false);

    const dying = await open(publishPort, 'dying', {
        will: { topic: 'js/will', payload: Buffer.from('gone'), qos: 2, retain: false },
    });
    dying.stream.destroy();
    await expect('js/will', Buffer.from('gone'), 2, false);
    for (const client of [pub, sub])
        await new Promise((resolve) => client.end(false, resolve));
    process.exit(0);
}

main().catch((e) => fail(e.stack));
