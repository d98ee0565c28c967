"""Recorded chains and recorded sessions behind the gateway."""

from tomic import _lazy

_lazy.offer(__name__, modules="chain recordings session")
