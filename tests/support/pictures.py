"""
What the pages show of the program: outputs of commands, and pictures, all made on the demo.

``python tests/support/pictures.py`` (`nox -s pictures`) makes the pictures in docs/img and the
outputs in the pages anew; a test keeps them current. A page has an output below a comment that
names its command: ``<!-- prints: tomic doctor --demo -->``, with a number before the colon where
its first lines are enough, or ``<!-- pictured as scan in 128 columns: … -->``. One home serves all
commands, in the order of the pages.
"""

from __future__ import annotations

import asyncio
import io
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from matplotlib import rc_context
from rich.console import Console
from rich.text import Text

from support.clean_home import make_clean_home
from support.command_line import run
from support.panel_screens import settle, text as text_of, until
from tomic.config import Settings
from tomic.desk import Desk
from tomic.panel.app import PanelApp, PanelSource
from tomic.report import pictures

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "img"
PAGES = (ROOT / "docs" / "getting-started.md",)
COMMAND = "nox -s pictures"
PROPOSAL = "20261120-1"
"""The best of the scan of the pages."""
COLUMNS = 100
"""Width of the terminal whose text stands in the pages."""
_MARK = re.compile(
    r"<!-- prints(?: (\d+))?: (tomic .+?) -->\n+```text\n(.*?)```"
    r"|<!-- pictured as (\w+) in (\d+) columns: (tomic .+?) -->",
    re.S,
)
_CODES = re.compile(r"\x1b\[[\d;]*m")
_NUMBER = re.compile(r"[+-]?\d[\d.,:/]*")
_ALIKE = 0.8
"""Share of the numbers that must be the same: the demo's clock runs, and its quotes with it."""


def alike(one: str, other: str) -> bool:
    """
    Whether two outputs say the same: all words, and nearly all numbers.

    The clock, the pace, the name of a port or a file are another every time, and on a slow machine
    a quote may be a minute later.
    """
    if _words(one) != _words(other):
        return False
    pairs = list(zip(_NUMBER.findall(one), _NUMBER.findall(other), strict=True))
    return sum(a == b for a, b in pairs) >= _ALIKE * len(pairs)


def _words(text: str) -> list[str]:
    without = re.sub(r"[█▏▎▍▌▋▊▉|]+|exports/\S+|(?<=data/)\S+", "", text)
    return _NUMBER.sub("N", without).split()


def texts_of(svg: str) -> str:
    """
    The words in a picture, in their order.

    Where lines lie depends on versions of the libraries that draw, and on fonts; what is said does
    not.
    """
    words = re.findall(r"<text[^>]*>(.*?)</text>", svg, re.S)
    return "\n".join(unescape(re.sub(r"<[^>]*>", "", word)).strip() for word in words)


def printed(line: str, columns: int = COLUMNS) -> str:
    """
    What *line* prints on a terminal, colours included.

    Raises:
        AssertionError: It ends with another code than 0.
    """
    result = run(*shlex.split(line)[1:], terminal=columns)
    assert result.exit_code == 0, f"{line}: {result.exit_code}: {result.stderr}"
    return result.stdout


def shown(line: str, lines: int = 0) -> str:
    """The text below a command in a page; *lines* of it, and then an ellipsis."""
    rows = [row.rstrip() for row in _CODES.sub("", printed(line)).splitlines()]
    if lines and len(rows) > lines:
        rows = [*rows[:lines], "…"]
    return "\n".join(rows) + "\n"


def filled(page: str, made: dict[str, str]) -> str:
    """*page* with its outputs made anew, in their order; pictures of terminals go to *made*."""

    def again(found: re.Match[str]) -> str:
        lines, line, _, name, columns, typed = found.groups()
        if name:
            made[name] = terminal(typed, int(columns))
            return found.group()
        before = found.group().partition("```text\n")[0]
        return f"{before}```text\n{shown(line, int(lines or 0))}```"

    return _MARK.sub(again, page)


def terminal(line: str, columns: int) -> str:
    """A picture of a terminal in which *line* was typed."""
    text = Text.from_ansi(f"$ {line}\n{printed(line, columns)}")
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True)
    console.print(text, highlight=False, soft_wrap=False)
    return without_fonts(console.export_svg(title="tomic"))


def without_fonts(svg: str) -> str:
    """A picture by Rich or Textual that fetches no letters, and uses those of the reader."""
    svg = re.sub(r"@font-face\s*\{.*?\}", "", svg, flags=re.S)
    letters = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
    svg = re.sub(
        r"font-family:\s*(?:Fira Code|FiraCode|Rich Fira Code)[^;]*;",
        f"font-family: {letters};",
        svg,
    )
    return "\n".join(line.rstrip() for line in svg.splitlines() if line.strip()) + "\n"


async def panel() -> str:
    """The panel with a chain in it."""
    settings = Settings.model_validate({"market": {"symbols": ("SPY", "QQQ")}})
    app = PanelApp(PanelSource(demo=True), settings=settings)
    async with app.run_test(size=(128, 36)) as pilot:
        await settle(pilot)
        await pilot.press("2", "r")
        await until(pilot, lambda: text_of(pilot).count(".") > 100, what="a chain is shown")
        svg = app.export_screenshot(title="tomic panel --demo")
        await pilot.press("q")
    return without_fonts(svg)


async def drawn() -> dict[str, str]:
    """The pictures that results draw of themselves, and one of the report."""
    async with Desk(demo=True, demo_store=Path("data/demo.db")) as desk:
        chain = await desk.chain("SPY", dte=15)
        proposal = await desk.proposal(PROPOSAL)
        grid = (await desk.portfolio()).review.stress
    axes = {
        "smile": pictures.chain_smile(chain, theme="light"),
        "terms": pictures.chain_term_structure(chain, theme="light"),
        "payoff": pictures.proposal_payoff(proposal, theme="light"),
        "stress": pictures.stress_heat_map(grid, days=7, theme="light"),
    }
    return {name: _saved(ax) for name, ax in axes.items()}


def _saved(ax) -> str:
    file = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "tomic", "path.simplify": True}):
        ax.figure.savefig(file, format="svg", metadata={"Date": None}, facecolor="white")
    return re.sub(r"\s+\n", "\n", file.getvalue())


DIALOG = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 330" font-family="sans-serif"
 font-size="13">
<title>The API settings of TWS, drawn by us</title>
<rect width="640" height="330" rx="6" fill="#f4f4f4" stroke="#888"/>
<rect width="640" height="30" rx="6" fill="#d8dde3"/>
<text x="14" y="20" font-weight="bold">Global Configuration</text>
<rect x="14" y="44" width="150" height="272" fill="#fff" stroke="#bbb"/>
{menu}
<text x="184" y="62" font-weight="bold">API &#8250; Settings</text>
{rows}
</svg>
"""
_ROWS = (
    ("box", True, "Enable ActiveX and Socket Clients", "tick it (TWS only)"),
    ("box", True, "Read-Only API", "leave it ticked"),
    ("field", "7497", "Socket port", "paper 7497, live 7496"),
    ("box", True, "Allow connections from localhost only", "untick for another computer"),
    ("field", "", "Trusted IPs", "and add that one here"),
)


_TICK = 'stroke="#0a7" stroke-width="2.5" fill="none"'


def dialog() -> str:
    """The dialog of TWS in which its API is switched on: a drawing of ours, no picture of it."""
    menu = "\n".join(
        f'<text x="{26 + 14 * deep}" y="{68 + 24 * n}"{bold}>{name}</text>'
        for n, (name, deep, bold) in enumerate(
            (
                ("General", 0, ""),
                ("Display", 0, ""),
                ("API", 0, ""),
                ("Settings", 1, ' font-weight="bold"'),
                ("Precautions", 1, ""),
            )
        )
    )
    return DIALOG.format(menu=menu, rows="\n".join(_dialog_rows()))


def _dialog_rows() -> Iterator[str]:
    for n, (kind, value, label, advice) in enumerate(_ROWS):
        y = 84 + 46 * n
        if kind == "box":
            yield f'<rect x="184" y="{y}" width="16" height="16" fill="#fff" stroke="#555"/>'
            if value:
                yield f'<path d="M187 {y + 8} l4 4 l7 -9" {_TICK}/>'
            yield f'<text x="210" y="{y + 13}">{label}</text>'
        else:
            yield f'<text x="184" y="{y + 13}">{label}</text>'
            yield f'<rect x="270" y="{y - 2}" width="90" height="20" fill="#fff" stroke="#555"/>'
            yield f'<text x="278" y="{y + 13}">{value}</text>'
        at = f'x="612" y="{y + 13}" text-anchor="end"'
        yield f'<text {at} fill="#b04a00">{advice}</text>'


def made(
    pages: dict[Path, str], *, drawings: bool = True
) -> tuple[dict[Path, str], dict[str, str]]:
    """
    The *pages* with their outputs made anew, and pictures by name; in a folder apart.

    Args:
        drawings: All pictures, and not those of terminals alone.
    """
    every: dict[str, str] = {"tws-api": dialog()}
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        make_clean_home(Path(folder), patch)
        filled_pages = {path: filled(text, every) for path, text in pages.items()}
        if drawings:
            every |= asyncio.run(drawn())
            every["panel"] = asyncio.run(panel())
    return filled_pages, every


def write() -> None:
    """Write pages and pictures."""
    pages, every = made({path: path.read_text(encoding="utf-8") for path in PAGES})
    FOLDER.mkdir(exist_ok=True)
    for path, text in pages.items():
        path.write_text(text, encoding="utf-8")
    for name, svg in every.items():
        (FOLDER / f"{name}.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    write()
