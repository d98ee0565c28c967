"""The edge towards TWS and IB Gateway; the only package that imports ib_async."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tomic import _lazy

if TYPE_CHECKING:
    from tomic.ib.session import Outcome as Outcome, Session as Session

_lazy.offer(__name__, {"session": "Outcome Session"})
