"""A hook of mkdocs: the pages are written for a code host, where a link may lead to any
file of the repository. Here each file that they name outside docs/ becomes a page below
repository/, as Markdown or as a listing, and the links lead there. Nothing in docs/ knows
of the site."""

import pathlib
import posixpath
import re

from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).resolve().parents[2]
LINK = re.compile(
    r"""^(?P<indent>[ ]*)```.*?^(?P=indent)```$   # code, which has no links
      | (?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`)
      | (?P<before>\[(?P<text>[^\]\n]*)\]\(|^\[[^\]\n]+\]:\ )
        (?P<target>[^()\s\#:]+)(?P<anchor>\#[^()\s]*)?(?P<after>\)|$)""", re.M | re.S | re.X)
FENCE = re.compile(r"^( *```\w+) [\w -]+$", re.M)  # ```sh run, which tests look for
FRONT = "README.md"  # docs/index.md takes its place; a part of it is found in itself
LANGUAGES = {".c": "c", ".h": "c", ".go": "go", ".java": "java", ".js": "js", ".json": "json",
             ".py": "python", ".sh": "sh", ".xml": "xml", ".yaml": "yaml", ".yml": "yaml"}
BELOW = "repository"


def source_of(src_uri):
    """The file of the repository that a page is made from, as a path from its root."""
    if not src_uri.startswith(BELOW + "/"):
        return "docs/" + src_uri
    path = src_uri.removeprefix(BELOW + "/")
    return path if (ROOT / path).is_file() else path.removesuffix(".md")


def page_of(path, anchor):
    """The page of a link's target; None where it has none, as what is no file."""
    if (ROOT / path).is_dir():
        path = posixpath.join(path, "README.md")
    if not (ROOT / path).is_file():
        return None
    if path == FRONT and not anchor:
        return "index.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"{BELOW}/{path}" if path.endswith(".md") else f"{BELOW}/{path}.md"


def leads_to(source, link):
    """The file of the repository that a link in 'source' leads to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), link["target"]))


def listing(path):
    text = (ROOT / path).read_text()
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"# {path}\n\n{fence}{LANGUAGES.get(pathlib.Path(path).suffix, 'text')}\n{text}{fence}\n"


def on_files(files, config):
    todo = [source_of(f.src_uri) for f in files.documentation_pages()]
    while todo:
        source = todo.pop()
        for link in LINK.finditer((ROOT / source).read_text()):
            page = link["target"] and page_of(leads_to(source, link), link["anchor"])
            if not page or not page.startswith(BELOW + "/") or files.get_file_from_path(page):
                continue
            found = source_of(page)
            markdown = found.endswith(".md")
            content = (ROOT / found).read_text() if markdown else listing(found)
            files.append(File.generated(config, page, content=content))
            if markdown:
                todo.append(found)
    return files


def on_page_markdown(markdown, page, **_):
    here = page.file.src_uri
    source = source_of(here)
    if not source.endswith(".md"):
        return markdown

    def lead(link):
        if not link["target"]:
            return link[0]
        path = leads_to(source, link)
        to = page_of(path, link["anchor"])
        if to is None and (ROOT / path).is_dir() and link["text"]:
            return link["text"]  # a folder without a page
        if to is None:
            return link[0]  # mkdocs says what is wrong
        to = posixpath.relpath(to, posixpath.dirname(here) or ".")
        return link["before"] + to + (link["anchor"] or "") + link["after"]
    return FENCE.sub(r"\1", LINK.sub(lead, markdown))


def on_post_page(output, page, **_):
    if page.file.src_uri.endswith(".zh-TW.md"):  # fonts and readers choose by it
        return output.replace('<html lang="en"', '<html lang="zh-Hant-TW"', 1)
    return output
