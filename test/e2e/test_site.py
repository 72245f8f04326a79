"""The documentation as a site (mkdocs.yml): its links lead somewhere, each page has a place in
its navigation, and a reader's browser asks nobody but the site."""

import asyncio
import contextlib
import functools
import html.parser
import http.server
import os
import re
import shutil
import subprocess
import threading
import urllib.parse

import stack as parts
from cluster import eventually
from scenario import Skip, scenario
from webdriver import Browser

LOADS = {"script": ["src"], "img": ["src", "srcset"], "source": ["src", "srcset"],
         "iframe": ["src"], "embed": ["src"], "object": ["data"], "video": ["src", "poster"],
         "audio": ["src"], "track": ["src"], "input": ["src"], "form": ["action"], "base": ["href"],
         "use": ["href"], "image": ["href"]}
LINKS = {"canonical", "prev", "next", "alternate"}  # <link rel=…> that load nothing
WIDE = ["index.html", "user-guide.html", "user-guide.zh-TW.html", "conformance.html", "configuration.html",
        "benchmarks.html", "kubernetes.html", "store.html", "repository/examples/index.html"]
STYLE = re.compile(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)")


async def built(root, folder):
    """Builds the site of a tree as ./dev site does: the exit code, and what it said."""
    venv = os.environ.get("TEST_SITE")
    if not venv:
        raise Skip("TEST_SITE is not set: ./dev test fetches what builds the site")
    done = await asyncio.to_thread(
        subprocess.run, [f"{venv}/bin/mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=root, capture_output=True, text=True,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONDONTWRITEBYTECODE": "1"})
    return done.returncode, done.stdout + done.stderr


class Page(html.parser.HTMLParser):
    """What a page loads, by the places that name it, and what its policy allows."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.policy, self.before_policy, self.style = [], None, [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "meta" and attrs.get("http-equiv", "").lower() == "content-security-policy":
            self.policy, self.before_policy = attrs["content"], list(self.loads)
        names = LOADS.get(tag, [])
        if tag == "link" and not set(attrs.get("rel", "").split()) <= LINKS:
            names = ["href"]
        for name in names:
            for one in (attrs.get(name) or "").split(",") if name == "srcset" else [attrs.get(name)]:
                if one:
                    self.loads.append(one.split()[0])
        self.loads += urls(attrs.get("style") or "")
        self.style = tag == "style"

    def handle_data(self, data):
        if self.style:
            self.loads += urls(data)


def urls(style):
    return [a or b for a, b in STYLE.findall(style)]


def assert_own(site, file, url):
    """That a URL in a file of the site is a file of the site."""
    if url.startswith("data:"):
        return
    assert not re.match(r"[a-z][a-z0-9+.-]*:|//", url, re.I), f"{file}: loads {url}"
    path = re.sub(r"[?#].*", "", url)
    target = site / path.lstrip("/") if path.startswith("/") else file.parent / path
    assert target.exists(), f"{file}: there is no {url}"


@scenario(timeout_s=180)
async def test_the_site_is_built_without_a_warning_and_loads_only_itself(env):
    site = env.folder / "site"
    code, said = await built(parts.ROOT, site)
    assert code == 0 and "WARNING" not in said, said
    pages = list(site.rglob("*.html"))
    assert {p.name for p in site.glob("*.html")} >= {p.stem + ".html" for p in
                                                     (parts.ROOT / "docs").glob("*.md")}
    for file in pages:
        text = file.read_text()
        page = Page(text)
        for url in page.loads:
            assert_own(site, file, url)
        assert page.policy and not page.before_policy, f"{file}: loads before it has a policy"
        for rule in page.policy.split(";"):
            assert set(rule.split()[1:]) <= {"'self'", "'none'", "'unsafe-inline'", "data:",
                                             "blob:"}, (file, rule)
        assert "default-src 'self'" in page.policy, file
        assert "```" not in re.sub(r"(?s)<(pre|code)\b.*?</\1>", "", text), f"{file}: an odd fence"
    for file in site.rglob("*.css"):
        for url in urls(file.read_text()):
            assert_own(site, file, url)
    assert len(pages) > 20 and (site / "repository" / "CHANGELOG.html").exists()


async def test_each_page_has_a_place_in_the_navigation(_env):
    """One that is missing gets a line in the nav of mkdocs.yml."""
    nav = (parts.ROOT / "mkdocs.yml").read_text().split("\nnav:\n")[1]
    placed = re.findall(r"^ +- (?:[^:\n]+: )?(\S+\.md)$", nav, re.M)
    docs = {str(p.relative_to(parts.ROOT / "docs")) for p in (parts.ROOT / "docs").rglob("*.md")}
    assert not docs - set(placed), f"not in the nav of mkdocs.yml: {sorted(docs - set(placed))}"
    assert len(placed) == len(set(placed)), "a page is there twice"


@scenario(timeout_s=120)
async def test_what_leads_nowhere_fails_the_build(env):
    tree = env.folder / "tree"
    tree.mkdir()
    for path in parts.ROOT.iterdir():
        if path.name in ("docs", "tools"):
            shutil.copytree(path, tree / path.name)
        elif path.name not in (".git", "build"):
            (tree / path.name).symlink_to(path)
    (tree / "docs" / "odd.md").write_text("# Odd\n\n[a](nowhere.md) [b](user-guide.md#no-such-place)"
                                          " [c](../no-such-file.c) [d](/absolute.md)\n")
    code, said = await built(tree, env.folder / "site")
    assert code == 1, said
    omitted = said.split('not included in the "nav" configuration:')[1].split("WARNING")[0]
    assert omitted.split() == ["-", "odd.md"], said
    for word in ("'nowhere.md'", "'user-guide.md#no-such-place'", "'../no-such-file.c'",
                 "'/absolute.md'"):
        assert re.search(rf"WARNING.*'odd\.md'.*{re.escape(word)}", said), (word, said)


@contextlib.contextmanager
def served(folder):
    """The folder at an address of this machine, as any web server has it."""
    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@scenario(timeout_s=240)
async def test_in_a_browser_the_pages_ask_nobody_else_fit_a_phone_and_are_searched(env):
    site = env.folder / "site"
    code, said = await built(parts.ROOT, site)
    assert code == 0, said
    browser = Browser(env.folder / "browser")
    with served(site) as origin:
        try:
            await browser.start()
            await browser.size(400, 800)
            for page in WIDE:
                await browser.open(origin + page)
                wide = await browser.run("return document.documentElement.scrollWidth")
                assert wide <= 400, f"{page} is {wide} pixels wide"
            asked = await browser.requests()
            assert len(asked) > len(WIDE)
            foreign = {url for _, url in asked if not  # chrome: is the browser itself
                       url.startswith((origin, "data:", "blob:", "chrome:"))}
            assert not foreign, foreign
            errors = await browser.errors()
            assert not errors, errors
            await browser.size(1280, 900)
            for words, found in (("receipt", "Receipts"), ("死信", "死信")):
                await browser.open(f"{origin}index.html?q={urllib.parse.quote(words)}")
                await eventually(lambda: finds(browser, found), f"{words} is found", 20)
            errors = await browser.errors()
            assert not errors, errors
        finally:
            await browser.close()


async def finds(browser, title):
    titles = await browser.run("return [...document.querySelectorAll("
                               "'.md-search-result__item :is(h1, h2)')].map(e => e.textContent)")
    return any(title in t for t in titles)
