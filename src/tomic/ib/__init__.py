"""The edge towards TWS and IB Gateway; the only package that imports ib_async."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tomic.ib.fan_out import Outcome as Outcome
    from tomic.ib.session import Session as Session

__all__ = ["Outcome", "Session"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("tomic.ib.session"), name)
    raise AttributeError(f"module 'tomic.ib' has no attribute {name!r}")
