"""Takes the pictures of docs/console.md: python3 tools/console_pictures.py [build/release]

A shop's messages pass through a broker and two sidecars for two minutes, and Chromium looks at the
console (Debian: chromium, chromium-driver, and fonts-inter, which the page takes where it is)."""

import asyncio
import contextlib
import math
import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "test" / "support"), str(ROOT / "tools")]

from annotations import AnnotationsFile  # noqa: E402
from scenario import Env, Settings  # noqa: E402
from webdriver import Browser  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
TRAFFIC_S = 125  # what the lines of the overview show
MOST_BYTES = 150 << 10
DURABLE = {"session_expiry": 86400}
QUEUES = """
- {filter: orders/#, qos: 1, group: orders, durable: true, expiry: 24h, max-length: 5000, max-attempts: 3}
- {filter: invoices/+/created, qos: 1, group: billing, durable: true, expiry: 24h, max-length: 40, overflow: reject-publish}
"""


async def shop(env):
    """The broker's stack, and clients that stay."""
    file = AnnotationsFile(env.folder / "pod").write(QUEUES)
    stack = await env.stack(annotations=[file.path, None], broker={"admin": {"console": True}},
                            sidecar={"identity": {"space": "shop", "workload": "web"}})
    await env.connect(stack.ports[0], "orders")
    for name in ("shelf-a", "shelf-b", "till-1", "till-2", "till-3", "door"):
        client = await env.connect(stack.ports[1], name, props=DURABLE)
        await client.subscribe((f"stock/{name}/#", 1), ("prices/+", 1))
    for name in ("tablet-anna", "tablet-ben", "scale-7"):
        client = await env.connect(stack.ports[1], name, props=DURABLE)
        await client.subscribe(("prices/+", 1))
        await client.disconnect()
    slow = env.client("label-printer", ack="never")
    await slow.connect(stack.ports[1], props=DURABLE)
    await slow.subscribe(("labels", 1))
    buried = await env.connect(stack.ports[1], "returns", props=DURABLE)
    await buried.subscribe(("returns/#", 2))
    await buried.disconnect()
    return stack


async def traffic(env, stack):
    publisher = await env.connect(stack.ports[0], "web")
    for n in range(12):
        await publisher.publish(f"prices/item-{n}", b"4.90", 1, retain=True)
        await publisher.publish("labels", b"x" * 40, 1)
    for n in range(4):
        props = {"user": [("sqmqos-qos", "3"), ("sqmqos-key", f"return-{n}")]}
        await publisher.publish(f"returns/{1040 + n}", b"x" * 120, 2, props=props)
    await env.connect(stack.ports[1], "returns", clean=True)  # what waited becomes dead letters
    n = 0
    while True:
        n += 1
        await publisher.publish(f"orders/{n}", b"x" * 200, 1)
        await publisher.publish(f"stock/{('till-1', 'till-2', 'shelf-a')[n % 3]}/{n % 9}", b"x" * 30, n % 2)
        await asyncio.sleep(0.05 + 0.03 * math.sin(n / 60) + 0.015 * math.sin(n / 11))


async def take(browser, url, name, width, height, scheme, hash_, ready, script=None):
    await browser.size(width, height)
    await browser.scheme(scheme)
    await browser.run("location.hash = arguments[0]", hash_)
    async with asyncio.timeout(20):
        while not await browser.run(f"return {ready}"):
            await asyncio.sleep(0.1)
    if script:
        await browser.run(script)
        await asyncio.sleep(0.3)
    png = await browser.screenshot()
    assert len(png) <= MOST_BYTES, f"{name}: {len(png)} bytes"
    (PICTURES / f"{name}.png").write_bytes(png)
    print(f"{name}.png: {len(png) >> 10} KiB")


async def main(build):
    with tempfile.TemporaryDirectory() as folder:
        env = Env(folder, Settings(build=build))
        stack = await shop(env)
        browser = Browser(env.folder / "browser")
        url = f"http://127.0.0.1:{stack.broker.admin_port}/console/"
        try:
            await browser.start()
            await browser.scheme("light")
            await browser.open(url)
            passing = asyncio.create_task(traffic(env, stack))
            await asyncio.wait([passing], timeout=TRAFFIC_S)
            assert not passing.done(), passing
            PICTURES.mkdir(exist_ok=True)
            await take(browser, url, "console-overview", 1180, 700, "light", "#overview",
                       "document.querySelector('.bar')")
            await take(browser, url, "console-queues", 1180, 700, "dark", "#queues?sort=-depth",
                       "document.querySelectorAll('tbody tr').length > 5",
                       "document.querySelector('tbody tr').click()")
            await take(browser, url, "console-slow", 400, 720, "light", "#slow",
                       "document.querySelectorAll('ul.slow li').length > 2")
            passing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await passing
        finally:
            await browser.close()
            env.check_leftovers = False
            await env.finish(failed=False)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1].removeprefix("build/") if len(sys.argv) > 1 else "release"))
