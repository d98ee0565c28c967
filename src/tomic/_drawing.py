"""
How a result draws and writes itself although pictures and files live floors above it.

A chain may not know the report, so its ``plot_…`` methods ask here by name, and the report, with
matplotlib behind it, is imported when the first picture is asked for and not before. So it is with
the files that a chain is written to, and the frames that it is read from.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any


def draw(picture: str, *args: Any, **options: Any) -> Any:
    """
    Call the function *picture* of `tomic.report.pictures` and return its axes.

    Raises:
        UsageError: matplotlib is not installed.
    """
    return getattr(import_module("tomic.report.pictures"), picture)(*args, **options)


def filed(module: str, function: str, *args: Any, **options: Any) -> Any:
    """Call *function* of a module of `tomic.files` and return what it gives."""
    return getattr(import_module(f"tomic.files.{module}"), function)(*args, **options)


def save(path: Path, axes: Any) -> None:
    """
    Write the whole figure of *axes* to *path*, in the form that its ending names.

    Raises:
        UsageError: The ending names no form; .svg, .png and .pdf do.
        BadFile: It cannot be written.
    """
    import_module("tomic.report.figures").save(path, axes)


def svg(axes: Any) -> str:
    """The whole figure of *axes* as SVG text."""
    text: str = import_module("tomic.report.figures").to_svg(axes)
    return text
