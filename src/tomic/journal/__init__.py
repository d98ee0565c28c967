"""The journal's decisions: results, exit signals, attribution, statistics; no clock, no I/O."""

from tomic import _lazy

_lazy.offer(__name__, modules="campaign")
