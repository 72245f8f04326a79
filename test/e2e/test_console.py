"""The console (docs/console.md): its files at the admin endpoint, and the page in a real Chromium."""

import asyncio
import contextlib
import http.client
import json
import pathlib
import re

import stack as parts
import view
from cluster import eventually, listening_ports
from webdriver import Browser

CONSOLE = parts.ROOT / "console"
POLICY = {"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self'",
          "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
          "require-trusted-types-for 'script'", "trusted-types 'none'"}
TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8",
         ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
ON = {"admin": {"console": True}}
DURABLE = {"session_expiry": 600}


def get(broker, path, method="GET", **headers):
    """(status, headers, body)"""
    connection = http.client.HTTPConnection("127.0.0.1", broker.admin_port, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


async def test_there_is_none_unless_it_is_asked_for(env):
    """Neither a page nor, with or without it, a port besides the link's and the admin endpoint's."""
    stack = await env.stack(sidecars=0)
    assert len(ports := listening_ports(stack.broker)) == 2 and stack.broker.admin_port in ports, ports
    for path in ("/console", "/console/", "/console/index.html"):
        status, _, _ = await asyncio.to_thread(get, stack.broker, path)
        assert status == 404, (path, status)


async def test_files_have_strict_headers(env):
    """All files are as in the clone; the page may change under its address, its files may not."""
    stack = await env.stack(sidecars=0, broker=ON)
    assert len(ports := listening_ports(stack.broker)) == 2 and stack.broker.admin_port in ports, ports

    def fetch(path, expected, caching):
        status, headers, body = get(stack.broker, path)
        assert status == 200, (path, status)
        assert set(headers["content-security-policy"].split("; ")) == POLICY
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == caching, path
        assert headers["content-type"] == TYPES[expected.suffix], path
        assert get(stack.broker, path, "HEAD")[2] == b"" and get(stack.broker, path, "POST")[0] == 405
        return body

    def look():
        page = CONSOLE / "index.html"
        served = fetch("/console/", page, "no-cache").decode()
        folder = re.search(r'src="([0-9a-f]{16})/app\.js"', served)[1]
        assert served == page.read_text().replace("assets/", folder + "/")
        files = sorted((CONSOLE / "assets").iterdir())
        assert files
        for file in files:
            body = fetch(f"/console/{folder}/{file.name}", file, "public, max-age=31536000, immutable")
            assert body == file.read_bytes(), file.name
        status, headers, _ = get(stack.broker, "/console")
        assert status == 308 and headers["location"] == "console/"
        for path in ("/consoles", "/console/app.js", "/console/0000000000000000/app.js",
                     f"/console/{folder}/", f"/console/{folder}/index.html"):
            assert get(stack.broker, path)[0] == 404, path
    await asyncio.to_thread(look)


IMPORT = re.compile(r'^(?:import|export)\b.*"\./([\w.]+)";$', re.M)


async def test_scripts_look_down_only(env):
    """Modules form no circle, all are used, and none has a way to set markup or run text."""
    del env
    looks = {p.name: set(IMPORT.findall(p.read_text())) for p in (CONSOLE / "assets").glob("*.js")}
    done = set()
    while ready := {name for name, others in looks.items() if name not in done and others <= done}:
        done |= ready
    assert done == set(looks), f"in a circle: {sorted(set(looks) - done)}"
    used = {"app.js"}
    while more := {other for name in used for other in looks[name]} - used:
        used |= more
    assert used == set(looks), f"not used: {sorted(set(looks) - used)}"
    for path in pathlib.Path(CONSOLE / "assets").glob("*.js"):
        found = re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function"
                           r"|https?://(?!www\.w3\.org/2000/svg)|sessionStorage|document\.cookie", path.read_text())
        assert not found, f"{path.name}: {found}"


# ---- the page

class Page:
    """The console in a browser."""

    def __init__(self, browser, origin):
        self.browser = browser
        self.origin = origin
        self.allowed = []  # starts of what the browser may complain of

    async def open(self, at=""):
        await self.browser.open(f"{self.origin}/console/{at}")
        return self

    def run(self, script, *arguments):
        return self.browser.run(script, *arguments)

    async def until(self, script, *arguments, what=None):
        return await eventually(lambda: self.run(f"return {script}", *arguments), what or script, every_s=0.05)

    async def shows(self, text, within="body"):
        await self.until("document.querySelector(arguments[0])?.innerText.includes(arguments[1])", within, text,
                         what=f"{within} says {text!r}")

    async def go(self, at, title):
        await self.run("location.hash = arguments[0]", at)
        await self.until("document.querySelector('h1')?.textContent === arguments[0]", title)

    async def names(self):
        """What stands first in each row."""
        return await self.run("return [...document.querySelectorAll('tbody td.first bdi')].map(n => n.textContent)")

    async def named(self, expected):
        """Awaits rows of those names, in whatever order."""
        found = []

        async def are():
            found[:] = await self.names()
            return sorted(found) == sorted(expected)
        try:
            await eventually(are, "the rows", every_s=0.05)
        except AssertionError:
            raise AssertionError(f"rows {sorted(found)}, not {sorted(expected)}") from None

    async def column(self, title):
        return await self.run("""return [...document.querySelectorAll(`td[data-label="${arguments[0]}"]`)]
            .map(n => n.textContent)""", title)

    def focused(self):
        """What has the focus, in words."""
        return self.run("const n = document.activeElement; return n.matches('tr') ? n.querySelector('bdi').textContent"
                        " : n.id || n.className || n.textContent")

    async def end(self):
        """Nothing was asked for elsewhere, and the browser had nothing to say."""
        asked = await self.browser.requests()
        assert asked, "the log of requests is empty"
        foreign = [url for _, url in asked if not url.startswith((self.origin + "/", "about:", "data:text/css"))]
        assert not foreign, foreign
        said = [line for line in await self.browser.errors()
                if not any(text in line for text in self.allowed)]
        assert not said, said
        return asked


@contextlib.asynccontextmanager
async def console(env, broker, origin=None):
    browser = Browser(env.folder / "browser")
    page = Page(browser, origin or f"http://127.0.0.1:{broker.admin_port}")
    try:
        await browser.start()
        await browser.scheme("light")
        yield await page.open()
    finally:
        await browser.close()


async def test_tables_are_the_view_s(env):
    """Rows, search, pages, details and the address; by the keyboard alone. No row is asked for that is not shown."""
    stack = await env.stack(sidecars=1, broker=ON)
    names = [f"default~demo~c-{n:03}" for n in range(70)]
    for n, _ in enumerate(names):
        client = await env.connect(stack.ports[0], f"c-{n:03}", props=DURABLE)
        if n in (3, 4):
            await client.subscribe(("t", 1))
            await client.disconnect()
    publisher = await env.connect(stack.ports[0], "publisher")
    for n in range(3):
        await publisher.publish("t", b"12345", 1)
    async with console(env, stack.broker) as page:
        press = page.browser.press
        await page.shows("Live", ".fresh")
        await press("g", "q")
        await page.until("document.querySelectorAll('tbody tr').length === 50")
        await page.shows("Page 1: 50 rows", ".pages")
        first = await page.names()
        await press("n")
        await page.shows("Page 2", ".pages")
        assert not set(await page.names()) & set(first)
        every = [r["queue"] for r in view.rows(stack.broker, "queues")]
        assert sorted(first + await page.names()) == sorted(every)
        await press("p")
        await page.shows("Page 1", ".pages")

        await press("/", *"default~demo~c-00", "Enter")
        expected = [n for n in names if n.startswith("default~demo~c-00")]
        await page.named(expected)
        await page.shows("10 in all", ".pages")
        await page.run("document.querySelectorAll('th button')[2].click()")  # by depth, the most first
        await page.until("document.querySelector('th[aria-sort]')?.textContent === 'Depth'")
        assert (await page.column("Depth"))[:3] == ["3", "3", "0"]
        assert sorted((await page.names())[:2]) == ["default~demo~c-003", "default~demo~c-004"]
        rows = await page.names()
        await page.run("document.activeElement.blur()")
        await press("ArrowDown")
        assert await page.focused() == rows[0]
        await press("ArrowDown", "k", "j")
        assert await page.focused() == rows[1]
        await press("Enter")
        await page.until("document.querySelector('aside h2')?.textContent === arguments[0]", rows[1])
        row = view.row(stack.broker, "queues", name=rows[1])
        shown = await page.run("""return Object.fromEntries([...document.querySelectorAll('aside dt')]
            .map(n => [n.textContent, n.nextSibling.textContent]))""")
        assert shown["Queue"] == rows[1] and shown["Depth"] == "3" and shown["Kind"] == "session"
        assert shown["Bytes"] == f"{row['bytes']} B" and shown["Durable"] == "yes"
        assert len(shown) == len(row), "all columns"
        assert f"sqmqos queues show {rows[1]}" in await page.run("return document.querySelector('aside').innerText")
        address = await page.run("return location.hash")
        await press("Escape")
        await page.until("document.querySelector('aside') === null")
        assert await page.focused() == rows[1]

        await page.open("#overview")
        await page.open(address)  # as somebody else, who was sent it
        await page.until("document.querySelector('aside h2')?.textContent === arguments[0]", rows[1])
        await page.run("[...document.querySelectorAll('aside a')].find(a => a.textContent === 'Its session').click()")
        await page.named([rows[1]])
        await page.shows("away", "tbody")
        await press("g", "w")
        await page.shows("nobody takes", "main")
        await page.named([])
        asked = await page.end()
    limits = [int(n) for _, url in asked for n in re.findall(r"/v1/view/queues\?.*?limit=(\d+)", url)
              if "columns=" not in url]
    assert limits and max(limits) == 50, limits
    env.check_leftovers = False


async def test_a_named_queue_leads_to_what_comes_into_it(env):
    folder = env.folder / "subscribers"
    folder.mkdir()
    (folder / "q.yaml").write_text('default: {jobs: {bindings: [{filter: "jobs/#"}, {filter: work}, {tag: eu}]}, '
                                   'other: {bindings: [{filter: x}]}}')
    stack = await env.stack(start=False, sidecars=1, broker=ON)
    stack.broker.tree["subscribers"] = {"dir": str(folder)}
    await stack.start()
    queue = "queue~default~jobs"
    async with console(env, stack.broker) as page:
        await page.go("#queues", "Queues")
        await page.run("location.hash = '#queues?' + new URLSearchParams({open: JSON.stringify([arguments[0]])})", queue)
        await page.until("document.querySelector('aside h2')?.textContent === arguments[0]", queue)
        await page.run("[...document.querySelectorAll('aside a')].find(a => a.textContent === 'What comes into it').click()")
        await page.until("document.querySelectorAll('tbody tr').length === 3")
        assert {"jobs/#", "work"} < set(await page.column("Filter"))


HOSTILE = ["<script>window.hit = 1</script>", "<img src=x onerror=window.hit=1>", "a\u202egnp.exe", "\"'`&lt;",
           "x" * 200, "javascript:window.hit=1"]


async def test_hostile_names_are_inert(env):
    """Names are text, whatever is in them, and what can't be seen is written out."""
    stack = await env.stack(sidecars=1, broker=ON)
    for n, name in enumerate(HOSTILE):
        client = await env.connect(stack.ports[0], name, props=DURABLE)
        await client.subscribe((f"{name}/{n}", 1))
        await client.publish(f"kept/{name}", b"x", 1, retain=True)
    async with console(env, stack.broker) as page:
        await page.go("#subscriptions", "Subscriptions")
        await page.until("document.querySelectorAll('tbody tr').length === arguments[0]", len(HOSTILE))
        filters = await page.column("Filter")
        assert sorted(filters) == sorted(f"{name}/{n}".replace("\u202e", "\\u202e") for n, name in enumerate(HOSTILE))
        await page.go("#retained", "Retained")
        await page.named([f"kept/{name}".replace("\u202e", "\\u202e") for name in HOSTILE])
        await page.go("#sessions", "Sessions")
        await page.until("document.querySelectorAll('tbody tr').length >= arguments[0]", len(HOSTILE))
        for session in [r["session"] for r in view.rows(stack.broker, "sessions") if r["client"] in HOSTILE]:
            await page.run("location.hash = '#sessions?' + new URLSearchParams({only: arguments[0],"
                           " open: JSON.stringify([arguments[0]])})", session)
            await page.until("document.querySelector('aside h2')?.textContent === arguments[0]", session)
        tags = await page.run("return [...document.querySelectorAll('body script, img, iframe, object')].length")
        assert tags == 0 and await page.run("return window.hit === undefined")
        # The command is a word for the shell, whatever the name is.
        await page.go("#retained", "Retained")
        assert "\u202e" not in await page.run("return document.body.innerText")
        await page.end()
    env.check_leftovers = False


async def bury(env, stack, topics):
    """Dead letters of QoS 3, as of a session that ends with what waits for it."""
    client = await env.connect(stack.ports[0], "c")
    lost = await env.connect(stack.ports[0], "lost", props=DURABLE)
    await lost.subscribe(("t/#", 2))
    await lost.disconnect()
    for topic in topics:
        props = {"user": [("sqmqos-qos", "3"), ("sqmqos-key", topic)]}
        assert await client.publish(topic, b"secret", 2, props=props) == 0
    await env.connect(stack.ports[0], "lost", clean=True)

    def buried():
        return len(view.rows(stack.broker, "dead-letters")) == len(topics)
    await eventually(lambda: asyncio.to_thread(buried), "the letters")
    return client


async def test_deeds_are_asked_about_and_done(env):
    """Letters that are picked are delivered again, and no others; a purge and a removal want the name."""
    stack = await env.stack(sidecars=1, broker=ON)
    client = await bury(env, stack, ["t/1", "t/2", "t/3"])
    worker = await env.connect(stack.ports[0], "worker")
    await worker.subscribe(("t/#", 1))
    away = await env.connect(stack.ports[0], "away", props=DURABLE)
    await away.subscribe(("work", 1))
    await away.disconnect()
    for _ in range(3):
        await client.publish("work", b"x", 1)
    async with console(env, stack.broker) as page:
        press = page.browser.press
        await page.go("#dead-letters?sort=topic", "Dead letters")
        await page.named(["t/1", "t/2", "t/3"])
        await press("ArrowDown", "x", "j", "x")
        await page.shows("Redrive 2…", ".tools")
        await page.browser.click(".tools .danger")
        await page.shows("Redrive 2 letters?", "dialog")
        await press("Escape")  # no
        await page.until("document.querySelector('dialog') === null")
        assert len(view.rows(stack.broker, "dead-letters")) == 3
        await page.browser.click(".tools .danger")
        await page.browser.click("dialog .danger")
        assert sorted([(await worker.receive()).topic for _ in range(2)]) == ["t/1", "t/2"]
        await page.shows("2 letters published again.", ".notices")
        await page.named(["t/3"])
        assert [r["topic"] for r in view.rows(stack.broker, "dead-letters")] == ["t/3"]

        own = "default~demo~away"
        await page.go(f"#queues?only={own}", "Queues")
        await page.named([own])
        await press("j", "Enter")
        await page.browser.click("aside .danger")
        assert await page.run("return document.querySelector('dialog .danger').disabled")
        await press(*"default~demo~awa", "Enter")
        assert await page.run("return document.querySelector('dialog .danger').disabled")
        await press("y", "Enter")
        await page.shows("3 messages deleted.", ".notices")
        assert view.row(stack.broker, "queues", name=own)["depth"] == 0
        await page.go(f"#sessions?only={own}", "Sessions")
        await page.named([own])
        await press("j", "Enter")
        await page.browser.click("aside .danger")
        await press(*own, "Enter")
        await page.shows("The session is removed.", ".notices")
        await page.named([])
        assert not view.rows(stack.broker, "sessions", name=own)
        asked = await page.end()
    assert [url.split("/v1/do/")[1] for method, url in asked if method == "POST"] == [
        "dead-letters/redrive", "queues/purge", "sessions/remove"]
    env.check_leftovers = False


# What ends beyond the window's edge; names are cut with an ellipsis, and the heads of a narrow table
# scroll by themselves.
CUT = """return [...document.querySelectorAll('main *:not(thead, thead *, bdi)')]
    .filter(n => n.getBoundingClientRect().right > innerWidth + 1).map(n => n.className || n.tagName)"""


async def test_it_fits_narrow_and_wide(env):
    """No page of it scrolls sideways at 400 px, in either scheme; the switch counts before the system."""
    stack = await env.stack(sidecars=1, broker=ON)
    client = await env.connect(stack.ports[0], "y" * 200, props=DURABLE)
    await client.subscribe(("z" * 300, 1))
    async with console(env, stack.broker) as page:
        pages = await page.until("[...document.querySelectorAll('#menu a')].map(a => a.getAttribute('href'))"
                                 ".filter((_, i, all) => all.length > 5)", what="the menu")
        pages = await page.run("return [...document.querySelectorAll('#menu a')].map(a => a.getAttribute('href'))")
        assert {"#overview", "#slow", "#queues", "#sessions", "#dead-letters", "#links"} <= set(pages)
        grounds = set()
        for width, scheme in ((1280, "light"), (768, "dark"), (400, "dark"), (400, "light")):
            await page.browser.size(width, 800)
            await page.browser.scheme(scheme)
            for at in pages:
                await page.run("location.hash = arguments[0]", at)
                await page.until("document.querySelector(`#menu a[href='${arguments[0]}']`).ariaCurrent === 'page'"
                                 " && document.querySelector('main:not([aria-busy])')", at)
                wide = await page.run("return document.documentElement.scrollWidth")
                assert wide <= width, f"{at} is {wide} px wide at {width}"
                cut = await page.run(CUT)
                assert not cut, f"{at} is cut at {width}: {cut}"
            grounds.add(await page.run("return getComputedStyle(document.body).backgroundColor"))
        assert len(grounds) == 2, grounds
        await page.go("#sessions", "Sessions")
        await page.until("document.querySelector('tbody tr')")
        await page.run("document.querySelector('tbody tr').click()")
        await page.until("document.querySelector('aside')")
        assert await page.run("return document.documentElement.scrollWidth") <= 400 and not await page.run(CUT)
        await page.run("document.querySelector('aside .close').click()")
        await page.browser.click(".menu .open")
        for _ in range(2):  # system, light, dark
            await page.browser.click("#menu .buttons button:nth-child(2)")
        dark = await page.run("return getComputedStyle(document.body).backgroundColor")
        await page.browser.scheme("dark")
        assert dark == await page.run("return getComputedStyle(document.body).backgroundColor")
        await page.end()
    env.check_leftovers = False


async def test_a_hidden_page_asks_for_nothing(env):
    stack = await env.stack(sidecars=0, broker=ON)
    async with console(env, stack.broker) as page:
        await page.shows("Live", ".fresh")
        hide = """Object.defineProperty(document, 'hidden', {value: arguments[0], configurable: true});
            document.dispatchEvent(new Event('visibilitychange'))"""
        await page.run(hide, True)
        await asyncio.sleep(0.5)  # what is under way ends
        await page.end()
        await asyncio.sleep(2.5)  # longer than between two looks at the metrics
        assert await page.browser.requests() == []
        await page.run(hide, False)

        async def asks():
            return await page.browser.requests()
        await eventually(asks, "it asks again")


@contextlib.asynccontextmanager
async def from_elsewhere(port, prefix):
    """An origin, with the path 'prefix', from which requests come to 'port' without that path and
    from an address that is no loopback by the rules: as through the API server's proxy."""
    async def pass_on(reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data.replace(f" {prefix}/".encode(), b" /", 1))
                await writer.drain()
        writer.close()

    async def connected(reader, writer):
        to = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
        await asyncio.gather(pass_on(reader, to[1]), pass_on(to[0], writer))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{prefix}"


async def test_a_token_is_asked_for_and_forgotten(env):
    acl = [{"allow": ["operate"], "identity": "token:local", "space": "default"}]
    stack = await env.stack(sidecars=1, broker={**ON, "acl": acl})
    await env.connect(stack.ports[0], "c", props=DURABLE)
    token = (stack.folder / "token").read_text().strip()
    prefix = "/api/v1/namespaces/sqmqos/pods/sqmqos-broker-0:9090/proxy"
    async with from_elsewhere(stack.broker.admin_port, prefix) as origin, \
            console(env, stack.broker, origin) as page:
        page.allowed = ["status of 401"]
        give = "document.querySelector('#token').value = arguments[0]; document.querySelector('form button').click()"
        await page.shows("This broker asks for a token", "h1")
        assert await page.focused() == "token"
        await page.run(give, "not-a-token")
        await page.shows("The one that was given is refused", "main")
        await page.run(give, token)
        await page.shows("Live", ".fresh")
        await page.go("#sessions?begins=default~demo~c", "Sessions")
        await page.named(["default~demo~c"])
        titles = await page.run("return [...document.querySelectorAll('#menu a')].map(a => a.dataset.page)")
        assert "queues" in titles and "links" not in titles, "links are for who may name any space"
        await page.go("#sessions?only=default~demo~c", "Sessions")
        await page.named(["default~demo~c"])
        await page.browser.press("j", "Enter")
        await page.shows("default~demo~c", ".detail")
        assert await page.run("return document.querySelectorAll('button.danger').length") == 0, "it may only look"
        await page.go("#dead-letters", "Dead letters")
        assert await page.run("return document.querySelectorAll('button.danger').length") == 0
        kept = await page.run("return JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie,"
                              " location.href, document.documentElement.outerHTML])")
        assert token not in kept
        await page.open("#sessions")
        await page.browser.open("about:blank")
        await page.open("#sessions")
        await page.shows("This broker asks for a token", "h1")
        await page.end()
    env.check_leftovers = False


async def test_a_broker_that_goes_comes_back(env):
    """The page says so, keeps what it has, and goes on; its cursors of before are forgotten."""
    stack = await env.stack(sidecars=1, broker=ON)
    for n in range(60):
        await env.connect(stack.ports[0], f"c-{n:03}", props=DURABLE)
    async with console(env, stack.broker) as page:
        page.allowed = ["ERR_CONNECTION_REFUSED", "ERR_EMPTY_RESPONSE", "ERR_CONNECTION_RESET",
                        "status of 503", "status of 400"]
        await page.go("#sessions", "Sessions")
        await page.until("document.querySelectorAll('tbody tr').length === 50")
        await page.browser.press("n")
        await page.shows("Page 2", ".pages")
        await stack.kill(stack.broker)
        await page.shows("No answer", ".fresh")
        await page.shows("The broker does not answer.", ".banner.bad")
        assert len(await page.names()) > 0
        await stack.restart(stack.broker)
        await page.shows("Live", ".fresh")
        await page.shows("Page 1: 50 rows", ".pages")
        assert await page.run("return document.querySelector('.banner.bad').hidden")
        await page.end()
    env.check_leftovers = False


@contextlib.asynccontextmanager
async def refusing(port, refusals):
    """An origin before 'port' that answers requests for the view with the first of the list 'refusals', each
    (status, detail, times)."""
    def refusal(head):
        if not refusals or b" /v1/" not in head.split(b"\r\n")[0]:
            return None
        status, detail, times = refusals.pop(0)
        if times > 1:
            refusals.insert(0, (status, detail, times - 1))
        body = json.dumps({"detail": detail})
        retry = "retry-after: 1\r\n" if status == 429 else ""
        return (f"HTTP/1.1 {status} No\r\ncontent-type: application/problem+json\r\n{retry}connection: close\r\n"
                f"content-length: {len(body)}\r\n\r\n{body}").encode()

    async def connected(reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            answer = refusal(head)
            if answer is None:
                back, to = await asyncio.open_connection("127.0.0.1", port)
                to.write(head)
                answer = await back.read(-1)
                to.close()
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_refusals_are_said_and_got_over(env):
    """A broker that is busy is asked again by itself; one that says no, when a person wants it."""
    stack = await env.stack(sidecars=1, broker=ON)
    await env.connect(stack.ports[0], "c", props=DURABLE)
    refusals = [(429, "four pages are under way", 1)]
    async with refusing(stack.broker.admin_port, refusals) as origin, console(env, stack.broker, origin) as page:
        page.allowed = ["status of 429", "status of 503", "status of 403"]
        await page.go("#sessions?begins=default~demo~c", "Sessions")
        await page.named(["default~demo~c"])
        assert refusals == []
        refusals.append((503, "a worker <b>stands</b> still", 1))
        await page.shows("Busy", ".fresh")
        await page.shows("The broker says: a worker <b>stands</b> still.", ".banner.bad")
        await page.named(["default~demo~c"])
        await page.shows("Live", ".fresh")
        assert await page.run("return document.querySelector('.banner.bad').hidden") and refusals == []
        refusals.append((403, "no rule of acl lets this identity operate that", 1))
        await page.shows("Not allowed", "h1")
        await page.shows("no rule of acl lets this identity operate that", "main")
        await page.go("#queues", "Queues")
        await page.shows("Live", ".fresh")
        await page.end()
    env.check_leftovers = False
