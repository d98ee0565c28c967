"""Strategies: what they are, what they cost and promise, and the search for the best of them."""

from tomic import _lazy

_lazy.offer(__name__, modules="tickets")
