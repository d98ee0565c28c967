"""
How a result draws itself although pictures live floors above it.

A chain may not know the report, so its ``plot_…`` methods ask here by name, and the report, with
matplotlib behind it, is imported when the first picture is asked for and not before.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def draw(picture: str, *args: Any, **options: Any) -> Any:
    """
    Call the function *picture* of `tomic.report.pictures` and return its axes.

    Raises:
        UsageError: matplotlib is not installed.
    """
    return getattr(import_module("tomic.report.pictures"), picture)(*args, **options)
