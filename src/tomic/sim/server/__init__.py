"""The gateway itself: connections, requests, limits."""

from tomic import _lazy

_lazy.offer(__name__, modules="gateway limits")
