"""Both directions of the protocol, with every message class registered."""

from __future__ import annotations

from tomic.sim import orders, statements
from tomic.sim.answers import ANSWERS
from tomic.sim.requests import REQUESTS

__all__ = ["ANSWERS", "REQUESTS", "orders", "statements"]
