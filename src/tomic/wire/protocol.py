"""
The protocol as a whole: the messages of both directions, and which answers belong to what.

Orders register themselves with both tables when they are imported, which happens here.
"""

from __future__ import annotations

from tomic.wire import orders
from tomic.wire.answers import ANSWERS
from tomic.wire.framing import Fields
from tomic.wire.requests import REQUESTS

__all__ = ["ANSWERS", "CANCELS", "REQUESTS", "UNNUMBERED", "data_type_of", "orders", "request_id"]

CANCELS = frozenset({2, 25, 51, 56, 57, 63, 75, 77, 90, 93, 95, 98, 101})
"""Requests that end another one."""

UNNUMBERED = {
    5: (3, 5, 53),
    6: (6, 7, 8, 54),
    7: (59,),
    8: (9,),
    16: (3, 5, 53),
    17: (15,),
    24: (19,),
    49: (49,),
    61: (61, 62),
    71: (9, 15),
    80: (78,),
    82: (80,),
    85: (85,),
    91: (93,),
    99: (101, 102),
}
"""Requests whose answers do not carry the id of the request, and the kinds of those answers."""


def request_id(fields: Fields) -> str | None:
    """The id of a request as text; None for requests without one."""
    place = REQUESTS.id_place(fields, version=0)
    return None if place is None else fields[place]


def data_type_of(fields: Fields) -> int:
    """The type that a request for live, frozen or delayed data names; 1 where it cannot be read."""
    return int(fields[2]) if len(fields) > 2 and fields[2].isdecimal() else 1
