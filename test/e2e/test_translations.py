"""Translated pages keep step with their originals: the same headings, each with the anchor
of the original, the same blocks of code, tables with the same rows, lists with as many items,
and below each heading the same links. What is said between them a person must compare."""

import re

import stack as parts
from pages import translations

BLOCK = re.compile(r"""^(?P<indent>[ ]*)```.*?^(?P=indent)```$ | (?:^\|[^\n]*\|\n)+ | ^\#{1,6}[ ][^\n]*$
                     | ^(?:-|\d+\.)[ ] | ^<a[ ]id="[^"]*"></a>$""", re.M | re.S | re.X)


def anchor(heading):
    """As code hosts and the site make it of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def outline(text, original):
    """What must be the same, in order: a list of (kind, what, the line)."""
    text = re.sub(r"<!--.*?-->", lambda m: "\n" * m[0].count("\n"), text, flags=re.S)
    found, given = [], None
    for block in BLOCK.finditer(text):
        block, line = block[0], text.count("\n", 0, block.start()) + 1
        if block.startswith("#"):
            level, title = re.match(r"(#+) (.*)", block).groups()
            found.append(("heading", (len(level), anchor(title) if original else given), line))
            if len(level) == 1:
                found[-1] = ("heading", 1, line)  # the title needs no anchor
            given = None
        elif block.startswith("<a"):
            given = block.split('"')[1]
        elif block.startswith("|"):
            rows = [row.strip("|").split("|") for row in
                    re.sub(r"`[^`]*`", lambda m: m[0].replace("|", "¦"), block).splitlines()]
            names = [re.findall(r"`[^`]+`", row[0]) for row in rows]
            found.append(("table", [len(rows), *names], line))
        elif re.match(r"-|\d", block):
            if found and found[-1][0] == "items":
                found[-1] = ("items", found[-1][1] + 1, found[-1][2])
            else:
                found.append(("items", 1, line))
        else:
            found.append(("code", block, line))
    return found


def links(text):
    """What each section leads to, in the original's language."""
    text = re.sub(r"^```.*?^```$|<!--.*?-->", "", text, flags=re.S | re.M)
    return [set(re.findall(r"\]\(([^)]*)\)", section.replace(".zh-TW.md", ".md")))
            for section in re.split(r"^#+ ", text, flags=re.M)[1:]]


def first_difference(original, translation):
    """None, or where the two part: a sentence."""
    ours, theirs = outline(original, True), outline(translation, False)
    for one, other in zip(ours, theirs):
        if one[:2] != other[:2]:
            return (f"line {one[2]} has the {one[0]} {one[1]!r}, "
                    f"line {other[2]} of the translation the {other[0]} {other[1]!r}")
    if len(ours) != len(theirs):
        longer, which = (ours, "original") if len(ours) > len(theirs) else (theirs, "translation")
        kind, what, line = longer[min(len(ours), len(theirs))]
        return f"only the {which} has, in line {line}, the {kind} {what!r}"
    sections = re.findall(r"^#+ .*", re.sub(r"^```.*?^```$", "", original, flags=re.S | re.M), re.M)
    for title, one, other in zip(sections, links(original), links(translation)):
        if one != other and title is not sections[0]:  # the title's lead to each other
            return f"below {title!r} {sorted(one ^ other)} is in one of the two only"
    return None


async def test_translations_keep_step(_env):
    pairs = translations()
    assert {p.name for p in pairs} == {"README.zh-TW.md", "user-guide.zh-TW.md"}
    for translation, original in pairs.items():
        said = first_difference(original.read_text(), translation.read_text())
        assert not said, f"{translation.relative_to(parts.ROOT)} is not in step: {said}"


async def test_originals_and_translations_lead_to_each_other(_env):
    for translation, original in translations().items():
        assert f"]({translation.name})" in original.read_text()[:200], original
        assert f"]({original.name})" in translation.read_text()[:1000], translation


async def test_what_parts_a_translation_from_its_original_is_found(_env):
    page = ("# A\n\n## What is `b`?\n\n[h](i.md)\n\n| `x` | y |\n|---|---|\n| `a` (1) | b |\n\n- c\n- d\n\n"
            "```sh\n# e\n```\n\n### F\n")
    good = ("<!-- g -->\n# 甲\n\n<a id=\"what-is-b\"></a>\n\n## 什麼是 `b`？\n\n"
            "[辛](i.zh-TW.md)\n\n| `x` | 乙 |\n|---|---|\n"
            "| `a`（1） | 丙 |\n\n- 丁\n- 戊\n\n```sh\n# e\n```\n\n<a id=\"f\"></a>\n\n### 己\n")
    assert first_difference(page, good) is None
    for old, new in (("what-is-b", "what-is-c"), ("### 己", "## 己"), ("# e", "# 戊"),
                     ("| `a`（1） | 丙 |\n", ""), ("`a`（1）", "`b`（1）"), ("- 戊\n", ""),
                     ("<a id=\"f\"></a>\n\n### 己\n", ""), ("### 己\n", "### 己\n\n## 庚\n"),
                     ("](i.zh", "](j.zh"), ("### 己\n", "### 己\n\n[壬](k)\n")):
        assert old in good
        assert first_difference(page, good.replace(old, new)), (old, new)
