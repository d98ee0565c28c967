"""From the socket to option data, step by step."""

from tomic import _lazy

_lazy.offer(__name__, modules="ladder")
