"""A real Chromium without a screen, driven by the WebDriver protocol (W3C) through chromedriver."""

import asyncio
import base64
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess

from scenario import Skip

KEYS = {"Enter": "\ue007", "Escape": "\ue00c", "Tab": "\ue004", "ArrowDown": "\ue015", "ArrowUp": "\ue013",
        "End": "\ue010", "Home": "\ue011", " ": " "}
QUIET = ("--headless=new", "--no-first-run", "--no-default-browser-check", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-default-apps", "--disable-extensions",
         "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb",
         "--lang=en-GB", "--window-size=1280,900")


class Browser:
    """One window. A call is an HTTP request to the driver; they follow each other."""

    def __init__(self, folder):
        if not shutil.which("chromedriver") or not shutil.which("chromium"):
            raise Skip("chromium and chromium-driver are not installed")
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.process = self.port = self.session = None

    async def start(self, *arguments):
        await asyncio.to_thread(self._start, arguments)
        return self

    def _start(self, arguments):
        # What the browser keeps goes where the scenario's things are, as does the home that it wants.
        environment = {**os.environ, "HOME": str(self.folder), "TZ": "UTC"}
        self.process = subprocess.Popen(
            ["chromedriver", "--port=0", f"--log-path={self.folder}/driver.log"], env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
        for line in self.process.stdout:
            if found := re.search(r"successfully on port (\d+)", line):
                self.port = int(found[1])
                break
        assert self.port, "chromedriver says no port"
        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        answer = self._call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            "goog:chromeOptions": {"args": [*QUIET, *root, f"--user-data-dir={self.folder}/profile", *arguments]},
        }}})
        self.session = answer["sessionId"]

    def _call(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None,
                               {"content-type": "application/json"})
            answer = connection.getresponse()
            value = json.loads(answer.read())["value"]
            assert answer.status == 200, f"{method} {path}: {value['error']}: {value['message']}"
            return value
        finally:
            connection.close()

    async def _ask(self, method, path, body=None):
        return await asyncio.to_thread(self._call, method, f"/session/{self.session}{path}", body)

    async def devtools(self, command, **parameters):
        """A command of Chromium's own protocol."""
        return await self._ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    async def open(self, url):
        await self._ask("POST", "/url", {"url": url})

    async def run(self, script, *arguments):
        """What the body of a function returns; its arguments are arguments[N]."""
        return await self._ask("POST", "/execute/sync", {"script": script, "args": arguments})

    async def press(self, *keys):
        """Presses keys one after the other: letters, texts or names of KEYS."""
        actions = [{"type": kind, "value": c} for key in keys for c in (KEYS.get(key) or key)
                   for kind in ("keyDown", "keyUp")]
        await self._ask("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    async def click(self, selector):
        found = await self._ask("POST", "/element", {"using": "css selector", "value": selector})
        await self._ask("POST", f"/element/{next(iter(found.values()))}/click", {})

    async def size(self, width, height):
        """Of the page, as on a device of that size."""
        await self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height,
                            deviceScaleFactor=1, mobile=False)

    async def scheme(self, name):
        """Whether the system is "light" or "dark"."""
        await self.devtools("Emulation.setEmulatedMedia",
                            features=[{"name": "prefers-color-scheme", "value": name},
                                      {"name": "prefers-reduced-motion", "value": "reduce"}])

    async def screenshot(self):
        """A PNG."""
        return base64.b64decode(await self._ask("GET", "/screenshot"))

    async def errors(self):
        """What the console of the page says since the last call, from warnings upward."""
        log = await self._ask("POST", "/se/log", {"type": "browser"})
        return [line["message"] for line in log if line["level"] in ("WARNING", "SEVERE")]

    async def requests(self):
        """(method, URL) of what the page has asked for since the last call; without what the
        browser's own first page asks the browser for."""
        log = await self._ask("POST", "/se/log", {"type": "performance"})
        events = [json.loads(line["message"])["message"] for line in log]
        return [(e["params"]["request"]["method"], e["params"]["request"]["url"]) for e in events
                if e["method"] == "Network.requestWillBeSent"
                and not e["params"]["documentURL"].startswith("chrome://new-tab-page")]

    async def close(self):
        if self.process is None:
            return
        try:
            if self.session:
                await asyncio.to_thread(self._call, "DELETE", f"/session/{self.session}")
        finally:
            # The driver leads a group of its own, in which the browser is.
            os.killpg(self.process.pid, signal.SIGKILL)
            await asyncio.to_thread(self.process.wait)
            self.process.stdout.close()
