"""The console (docs/console.md): its files at the admin endpoint, and the page in a real Chromium."""

import asyncio
import http.client
import pathlib
import re

import stack as parts

CONSOLE = parts.ROOT / "console"
POLICY = {"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self'",
          "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
          "require-trusted-types-for 'script'", "trusted-types 'none'"}
TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8",
         ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
ON = {"admin": {"console": True}}


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
    stack = await env.stack(sidecars=0)
    for path in ("/console", "/console/", "/console/index.html"):
        status, _, _ = await asyncio.to_thread(get, stack.broker, path)
        assert status == 404, (path, status)


async def test_files_have_strict_headers(env):
    """All files are as in the clone; the page may change under its address, its files may not."""
    stack = await env.stack(sidecars=0, broker=ON)

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


IMPORT = re.compile(r'^(?:import|export) .*?from "\./([\w.]+)";$', re.M)


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
