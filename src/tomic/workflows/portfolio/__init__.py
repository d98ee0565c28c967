"""The book: read, stored, reviewed."""

from tomic import _lazy

_lazy.offer(__name__, modules="review")
