"""The pages as a site: nothing is left out or leads nowhere, and what they show is current."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support import pictures
from tomic import errors
from tomic.workflows.doctor import ladder

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(
    [*DOCS.rglob("*.md"), *ROOT.glob("*.md"), *(ROOT / "examples").glob("*.md")],
    key=lambda path: path.relative_to(ROOT),
)
TROUBLE = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")


def without_code(text: str) -> str:
    """A page without its blocks of code and its code in lines."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^ *```.*?^ *```$", "", text, flags=re.S | re.M))


def anchors(text: str) -> set[str]:
    """What links to a page may end in: its headings, as GitHub and the site name them."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.S | re.M)
    titles = re.findall(r"^#+ (.+)$", prose, re.M)
    plain = (re.sub(r"[^\w\s-]", "", title.lower()).strip() for title in titles)
    return {re.sub(r"[\s]+", "-", title) for title in plain}


@pytest.mark.parametrize("page", PAGES, ids=[str(path.relative_to(ROOT)) for path in PAGES])
def test_every_link_leads_somewhere(page):
    """A file that is there, and in it the heading that is named."""
    text = page.read_text(encoding="utf-8")
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = page if not path else (page.parent / path).resolve()
        if not file.exists() or (
            anchor and anchor not in anchors(file.read_text(encoding="utf-8"))
        ):
            broken.append(target)

    assert broken == []


def test_every_page_is_in_the_navigation():
    """mkdocs.yml names each page of docs/, and nothing that is not there or made by the hook."""
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    named = set(re.findall(r": ([\w/.-]+\.md)$", nav, re.M))
    there = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}
    made = {
        *("index.md", "contributing.md", "changelog.md", "security.md", "settings.md", "api.md"),
        *("kernels.md", "examples/index.md", "examples/tour.md"),
    }

    assert {name for name in there if not name.startswith("decisions/0")} <= named
    assert named - there - made == set()


# -- troubleshooting -----------------------------------------------------------------------


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_has_its_place(name):
    """With its code, its class, the code that its command ends with, and what to do."""
    error = getattr(errors, name)
    (row,) = re.findall(rf"^\| `{re.escape(error.code)}` \| `{name}` \|.+$", TROUBLE, re.M)
    cells = [cell.strip() for cell in row.strip("|").split("|")]

    assert cells[2] == str(error.exit_code)
    assert all(cells)


def test_every_code_of_tws_has_its_place():
    """Those that doctor explains, and those of the faults that are survived."""
    section = TROUBLE.partition("## By code of TWS")[2].partition("\n## ")[0]
    known = {
        int(code)
        for row in re.findall(r"^\| ([\d, ]+)", section, re.M)
        for code in row.split(", ")
        if code.strip()
    }
    faults = (DOCS / "faults.md").read_text(encoding="utf-8").partition("\n## ")[0]
    rows = (row.split("|")[2] for row in faults.splitlines() if row.startswith("| `"))
    played = {
        int(code) for meaning in rows for code in re.findall(r"(?<!tick )\b\d{3,5}\b", meaning)
    }

    assert (set(ladder.BY_CODE) | played) - known == set()


def test_every_schema_is_described():
    """docs/files.md names each kind of document that the program writes."""
    source = "\n".join(path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py"))
    text = (DOCS / "files.md").read_text(encoding="utf-8")

    written = set(re.findall(r"\"(tomic\.[a-z_.-]+/\d+)\"", source))
    assert {name for name in written if f"`{name}`" not in text} == set()


# -- the README ----------------------------------------------------------------------------


def test_the_demo_stands_on_the_first_screen():
    """At most twelve lines come before its output: what it is, a picture, and the command."""
    above = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n```\nSPY")[0]

    assert len([line for line in above.splitlines() if line.strip()]) <= 12
    assert "](docs/img/" in above


def test_extras_can_be_typed_in_every_shell():
    """zsh takes brackets for a pattern unless they are quoted; and there is no index to ask."""
    # The changelog says what was.
    pages = [path for path in PAGES if path.name != "CHANGELOG.md"]

    for path in [*pages, *(ROOT / "src").rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\binstall\b[^\n'\"`]*\s(?:\.|tomic)\[", text), path
        assert not re.search(r"\b(?:pip|pipx|uv tool) install tomic\b", text), path


# -- pictures ------------------------------------------------------------------------------


PICTURES = {path.stem: path.read_text(encoding="utf-8") for path in pictures.FOLDER.glob("*.svg")}


@pytest.mark.parametrize("drawings", [False, pytest.param(True, marks=pytest.mark.soak)])
def test_outputs_and_pictures_are_current(drawings):
    """What a page shows of a command is what it prints; `nox -s pictures` makes all of it anew."""
    before = {path: path.read_text(encoding="utf-8") for path in pictures.PAGES}

    after, every = pictures.made(before, drawings=drawings)

    stale = [path.name for path, text in after.items() if not pictures.alike(before[path], text)]
    words = {name: pictures.texts_of(svg) for name, svg in every.items()}
    stale += [
        f"{name}.svg"
        for name, text in words.items()
        if not pictures.alike(pictures.texts_of(PICTURES.get(name, "")), text)
    ]
    assert stale == [], f"{pictures.COMMAND} makes them anew"
    assert set(every) == set(PICTURES) or not drawings


def test_pictures_are_small_and_fetch_nothing():
    """All together they are less than 1.5 MB, and none has an address in it."""
    files = list(pictures.FOLDER.glob("*"))

    assert sum(file.stat().st_size for file in files) < 1_500_000
    for file in files:
        assert not re.search(r"(?:href|src|url)\s*[=(]\s*[\"']?https?:", file.read_text("utf-8")), (
            file
        )
