"""matplotlib's SVG made fit to stand inside a page, beside others."""

from __future__ import annotations

import re
from html import escape

_PROLOGUE = re.compile(r"^.*?(?=<svg\b)", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_ROOT = re.compile(r"<svg\b[^>]*?viewBox=\"([^\"]+)\"[^>]*>")
_FONT = re.compile(r"font: (?:[\w.]+ )*?([\d.]+px) [^;\"]*")

_TURNED = {"#777777": "var(--muted)", "#8a8a8a": "var(--line)"}
"""Colours of the theme that stand for text and grid, which the page has its own for."""


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
