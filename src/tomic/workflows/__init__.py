"""What reads like the mission: edges and decisions brought together."""

from tomic import _lazy

_lazy.offer(__name__, modules="backtest jobs notify recording scan stand_in surfaces")
