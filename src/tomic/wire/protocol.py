"""Both directions of the protocol, with every message class registered."""

from __future__ import annotations

from tomic.wire import orders, statements
from tomic.wire.answers import ANSWERS
from tomic.wire.requests import REQUESTS

__all__ = ["ANSWERS", "REQUESTS", "orders", "statements"]
