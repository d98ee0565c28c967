"""The edge towards TWS and IB Gateway; the only package that imports ib_async."""

from typing import TYPE_CHECKING

from tomic import _lazy

if TYPE_CHECKING:
    from tomic.ib.fan_out import Outcome as Outcome
    from tomic.ib.session import Session as Session

_lazy.offer(__name__, {"fan_out": "Outcome", "session": "Session"})
