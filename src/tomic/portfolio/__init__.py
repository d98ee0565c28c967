"""The book: what is held as strategies, its risks, and what a trade would change."""

from tomic import _lazy

_lazy.offer(__name__, modules="what_if")
