"""
A page as one self-contained HTML file: style, pictures and data inside, nothing fetched.

Every cell carries the pointer and the value it was written from, and the document itself is
embedded as ``<script type="application/json" id="document">``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from tomic.disk import write_text
from tomic.report import layout

_PROLOGUE = re.compile(r"^.*?(?=<svg\b)", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_ROOT = re.compile(r"<svg\b[^>]*?viewBox=\"([^\"]+)\"[^>]*>")
_FONT = re.compile(r"font: (?:[\w.]+ )*?([\d.]+px) [^;\"]*")

_NARROW, _PHONE, _SHORT = 6, 4, 12
"""Columns of a page, and of a phone, whose tables else have a card a row; rows of one sheet."""

_TURNED = {"#777777": "var(--muted)", "#8a8a8a": "var(--line)"}
"""Colours of the theme that stand for text and grid, which the page has its own for."""

# A promise that the browser keeps: nothing is loaded, no script runs but the page's own where it
# has one, no form is sent.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def render(page: layout.ReportPage) -> str:
    """The whole file as text; the same page gives the same text."""
    return _Writer(page).text()


def write(page: layout.ReportPage, file: Path | str) -> Path:
    """
    Write the page; the file is whole or not there.

    Raises:
        BadFile: It cannot be written.
    """
    return write_text(Path(file), render(page), private=True)


class _Writer:
    """Writes one page."""

    def __init__(self, page: layout.ReportPage) -> None:
        self._page = page
        self._pictures = 0

    def text(self) -> str:
        """The file."""
        page = self._page
        title = escape(page.title)
        parts = [part for section in page.sections for part in section.parts]
        script = _script() if any(isinstance(part, layout.Sliders) for part in parts) else ""
        policy = f"{_POLICY}; script-src '{_hash(script)}'" if script else _POLICY
        return "".join(
            (
                '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n',
                f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n',
                '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
                '<meta name="color-scheme" content="light dark">\n',
                f"<title>{title}</title>\n<style>\n{_style()}</style></head>\n<body>\n",
                f"<header><h1>{title}</h1>{self._facts('', page.head)}</header>\n<main>\n",
                *(self._section(section) for section in page.sections),
                "</main>\n<footer>TOMIC supports; you decide. It never trades.</footer>\n",
                '<script type="application/json" id="document">',
                _embedded(page.document),
                f"</script>\n<script>{script}</script>" if script else "</script>",
                "\n</body></html>\n",
            )
        )

    def _section(self, section: layout.ReportSection) -> str:
        parts = "".join(self._part(part) for part in section.parts)
        return f"<section><h2>{escape(section.title)}</h2>{parts}</section>\n"

    def _part(self, part: layout.Part) -> str:
        if isinstance(part, layout.FigureTable):
            return self._table(part)
        if isinstance(part, layout.FigureGrid):
            return self._facts(part.at, part.columns)
        if isinstance(part, layout.Sentences):
            return self._lines(part)
        if isinstance(part, layout.SvgPicture):
            return self._figure(part)
        if isinstance(part, layout.Sliders):
            return self._sliders(part)
        return self._gallery(part)

    def _sliders(self, part: layout.Sliders) -> str:
        item = layout.resolve(self._page.document, part.at)
        stops = {
            "price": (item["moves"], item["moves"].index(0.0)),
            "volatility": (item["vols"], item["vols"].index(0.0)),
            "day": (item["horizons"], 0),
        }
        inputs = "".join(
            f'<label>{name} <input type="range" min="0" max="{len(places) - 1}" value="{start}" '
            'autocomplete="off"></label>'
            for name, (places, start) in stops.items()
        )
        return (
            f'<details class="what-if" data-item="{part.at}"{" open" if part.is_open else ""}>'
            f"<summary>{escape(str(item['title']))}</summary>"
            f'<p class="sliders" hidden>{inputs}<span class="asked"></span><output></output></p>'
            f"{self._table(part.table)}</details>"
        )

    def _gallery(self, gallery: layout.Gallery) -> str:
        return f'<div class="gallery">{"".join(map(self._figure, gallery.figures))}</div>'

    def _figure(self, figure: layout.SvgPicture) -> str:
        self._pictures += 1
        svg = inline(figure.svg, prefix=f"p{self._pictures}-", label=figure.caption)
        return f"<figure>{svg}<figcaption>{escape(figure.caption)}</figcaption></figure>"

    def _lines(self, lines: layout.Sentences) -> str:
        sentences = layout.resolve(self._page.document, lines.at) or []
        items = "".join(
            f'<li data-at="{lines.at}/{n}">{escape(str(sentence))}</li>'
            for n, sentence in enumerate(sentences)
        )
        return f'<ul class="{lines.kind}">{items}</ul>' if items else ""

    def _facts(self, at: str, columns: tuple[layout.FigureColumn, ...]) -> str:
        cells = "".join(
            f"<div{_hint(column)}><dt>{escape(column.label)}</dt>"
            f"{self._cell('dd', at, column)}</div>"
            for column in columns
        )
        return f"<dl>{cells}</dl>"

    def _table(self, table: layout.FigureTable) -> str:
        rows = layout.resolve(self._page.document, table.at) or []
        if not rows:
            return f"<p>{escape(table.empty)}</p>" if table.empty else ""
        head = "".join(
            f"<th{_side(column)}{_hint(column)}>{escape(column.label)}</th>"
            for column in table.columns
        )
        body = "".join(
            "<tr>"
            + "".join(self._cell("td", f"{table.at}/{n}", column) for column in table.columns)
            + "</tr>"
            for n in range(len(rows))
        )
        caption = f"<caption>{escape(table.caption)}</caption>" if table.caption else ""
        wide = " wide" if len(table.columns) > _NARROW else ""
        wide += " cards" if len(table.columns) > _PHONE else ""
        short = " short" if len(rows) <= _SHORT else ""
        return (
            f'<div class="scroll{wide}{short}"><table>{caption}<thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>"
        )

    def _cell(self, tag: str, above: str, column: layout.FigureColumn) -> str:
        at = f"{above}{column.at}"
        value = layout.resolve(self._page.document, at)
        exact = escape(json.dumps(value, ensure_ascii=False))
        shown = escape(layout.cell(self._page.document, at, column.kind))
        sign = ' data-sign="loss"' if _is_loss(value, column) else ""
        if tag == "td":
            sign += f' data-label="{escape(column.label)}"'
            sign += " data-missing" if shown == layout.MISSING else ""
        return (
            f'<{tag}{_side(column)}{sign} data-at="{at}" data-kind="{column.kind}"'
            f' data-value="{exact}">{shown}</{tag}>'
        )


def _is_loss(value: Any, column: layout.FigureColumn) -> bool:
    """Whether it is money lost, or a word for it that must be seen."""
    if value == "alarm":
        return True
    return column.kind == "pnl" and isinstance(value, int | float) and value <= -0.005


def _side(column: layout.FigureColumn) -> str:
    return ' class="n"' if layout.is_numeric(column.kind) else ""


def _hint(column: layout.FigureColumn) -> str:
    return f' title="{escape(column.hint)}"' if column.hint else ""


def _embedded(document: Any) -> str:
    """The document as JSON that no value of it can end early."""
    text = json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False)
    return text.replace("<", "\\u003c")


def _script() -> str:
    return files("tomic.report").joinpath("sliders.js").read_text(encoding="utf-8")


def _hash(script: str) -> str:
    """By which the policy knows the one script that may run."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _style() -> str:
    return files("tomic.report").joinpath("page.css").read_text(encoding="utf-8")


def inline(svg: str, *, prefix: str, label: str) -> str:
    """
    The picture without what belongs to a file of its own: prologue, metadata, namespaces, size.

    Ids get *prefix*, because those of two pictures are often equal; *label* is what it shows, for
    those who cannot see it. Letters take the font of the page.
    """
    body = _METADATA.sub("", _PROLOGUE.sub("", svg, count=1))
    root = f'<svg viewBox="\\1" role="img" aria-label="{escape(label)}">'
    body = _ROOT.sub(root, body, count=1)
    body = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}\1"', body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}\1)", body)
    body = re.sub(r'xlink:href="#([^"]+)"', rf'href="#{prefix}\1"', body)
    body = _FONT.sub(r"font-size: \1", body)
    for colour, variable in _TURNED.items():
        body = body.replace(colour, variable)
    return body.replace("xlink:href", "href").strip()
