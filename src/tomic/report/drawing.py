"""
Where pictures are drawn: colours for light and dark, axes of their own, SVG text.

The only module that imports matplotlib itself. Figures are made without pyplot, so drawing leaves
no global state behind and needs no display.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from html import escape
from typing import Any, Literal, TypeAlias, cast

from tomic.errors import UsageError

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


try:
    import matplotlib
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, PercentFormatter
except ModuleNotFoundError as exc:
    raise UsageError(
        f"pictures need matplotlib ({exc.name} is not installed); pip install tomic[plot]"
    ) from exc

__all__ = [
    "Axes",
    "FuncFormatter",
    "PercentFormatter",
    "Picture",
    "Theme",
    "ThemeName",
    "axes_for",
    "legend",
    "theme_named",
    "to_svg",
]

ThemeName: TypeAlias = Literal["auto", "light", "dark"]

WIDE = (7.2, 4.0)
"""Inches of a picture that is not asked to be another size."""

_MARGINS = {"left": 0.12, "right": 0.98, "top": 0.92, "bottom": 0.13}


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of a picture; the background is always transparent."""

    ink: str
    """Text and axes."""
    grid: str
    profit: str
    loss: str
    main: str
    second: str
    third: str
    density: str

    @property
    def lines(self) -> tuple[str, ...]:
        """Colours for several lines, in order."""
        return self.main, self.second, self.third, self.density


_THEMES = {
    # Each has a contrast of at least 3:1 on white and on black; the ink has 4.5:1 on both.
    "auto": Theme(
        ink="#777777", grid="#8a8a8a", profit="#1f9d6b", loss="#d94a5a", main="#2f86d1",
        second="#cf7a14", third="#9a6fd0", density="#8a8f98",
    ),
    "light": Theme(
        ink="#24292f", grid="#b6bcc4", profit="#14804a", loss="#c02c3c", main="#1563ad",
        second="#a85d00", third="#7345b0", density="#8a929c",
    ),
    "dark": Theme(
        ink="#dde3ea", grid="#5b6470", profit="#4cc38a", loss="#ff7583", main="#6cb6ff",
        second="#f0a24a", third="#c49bff", density="#8b949e",
    ),
}  # fmt: skip


class Picture(Axes):
    """Axes that a notebook shows when they are the last expression of a cell."""

    def _repr_svg_(self) -> str:
        return to_svg(self)


def theme_named(name: ThemeName) -> Theme:
    """
    The colours of that name; ``auto`` reads on light and dark pages alike.

    Raises:
        UsageError: There is no such theme.
    """
    if name not in _THEMES:
        raise UsageError(f"theme {name!r}: unknown; use {', '.join(_THEMES)}")
    return _THEMES[name]


def axes_for(
    ax: Axes | None, theme: ThemeName, *, title: str = "", size: tuple[float, float] = WIDE
) -> tuple[Axes, Theme]:
    """*ax*, or axes of a figure of their own, with the colours of *theme*; one grid for all."""
    colours = theme_named(theme)
    if ax is None:
        # Room for the widest labels; a layout engine would measure every letter, twice.
        figure = Figure(figsize=size)
        figure.subplots_adjust(**_MARGINS)
        figure.patch.set_alpha(0.0)
        ax = figure.add_subplot(axes_class=Picture)
    ax.patch.set_alpha(0.0)
    for spine in ax.spines.values():
        spine.set_color(colours.ink)
        spine.set_linewidth(0.8)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    ax.tick_params(colors=colours.ink, labelsize=9)
    ax.xaxis.label.set_color(colours.ink)
    ax.yaxis.label.set_color(colours.ink)
    ax.grid(True, color=colours.grid, alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)
    if title:
        ax.set_title(title, color=colours.ink, fontsize=11, loc="left")
    return ax, colours


def legend(ax: Axes, colours: Theme, **where: Any) -> None:
    """A legend without a box, in the colour of the text."""
    ax.legend(frameon=False, labelcolor=colours.ink, fontsize=9, **where)


def to_svg(ax: Axes) -> str:
    """
    The whole figure of *ax* as SVG text: same numbers, same text, byte for byte.

    Letters stay letters, so that they can be searched, copied and read aloud.
    """
    text = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "tomic"}):
        cast(Figure, ax.get_figure(root=True)).savefig(
            text, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
    return text.getvalue()
