"""Retained messages: one publisher sets a few of them again and again, and what is
there at the end is the last that was acknowledged, or one after it."""

import asyncio

import mqtt

TOPICS = 4
EVERY_S = 0.05
ANSWER_S = 10
FAILURE = 0x80


class Kept:
    def __init__(self, port):
        self.port = port
        self.sent = [0] * TOPICS
        self.acked = [0] * TOPICS
        self.task = None

    def start(self):
        self.task = asyncio.create_task(self.publish())

    async def acknowledged(self):
        """Awaits a first acknowledgement for a while: on a slow machine none may have come between the faults."""
        for _ in range(int(3 * ANSWER_S / EVERY_S)):
            if any(self.acked):
                return
            await asyncio.sleep(EVERY_S)

    async def stop(self):
        while self.task and not self.task.done():  # wait_for() may swallow a cancellation
            self.task.cancel()
            await asyncio.wait([self.task], timeout=0.1)

    async def publish(self):
        while True:
            client = mqtt.Client("kept")
            try:
                await client.connect(self.port, clean=True, timeout_s=ANSWER_S)
                while True:
                    await self.one(client)
                    await asyncio.sleep(EVERY_S)
            except (OSError, asyncio.TimeoutError, mqtt.Closed):
                await asyncio.sleep(EVERY_S)
            finally:
                if client.connection:
                    client.abort()

    async def one(self, client):
        topic = sum(self.sent) % TOPICS
        self.sent[topic] += 1
        number = self.sent[topic]
        code = await client.publish(f"kept/{topic}", str(number), 1 + number % 2, retain=True,
                                    timeout_s=ANSWER_S)
        if code < FAILURE:
            self.acked[topic] = number

    async def check(self, port):
        """What is wrong with what a new subscriber gets."""
        if not any(self.acked):
            return ["retained: nothing was acknowledged"]
        client = mqtt.Client("kept-check")
        found = {}
        try:
            await client.connect(port, clean=True)
            await client.subscribe("kept/#", qos=2)
            while len(found) < sum(n > 0 for n in self.acked):
                m = await client.receive(ANSWER_S)
                found[int(m.topic.split("/")[1])] = int(m.payload)
        except (OSError, asyncio.TimeoutError, mqtt.Closed) as e:
            return [f"retained: {e!r} with {len(found)} of {self.acked}"]
        finally:
            if client.connection:
                await client.disconnect()
        return [f"retained: kept/{t} is {n}, {self.acked[t]} was acknowledged, {self.sent[t]} sent"
                for t, n in found.items() if not self.acked[t] <= n <= self.sent[t]]
