"""What can be done with a position: its alternatives, each with figures, and which is best."""

from tomic import _lazy

_lazy.offer(__name__, modules="orders")
