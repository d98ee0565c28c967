"""The volatility of symbols, measured and remembered."""

from tomic import _lazy

_lazy.offer(__name__, modules="cones measure today")
