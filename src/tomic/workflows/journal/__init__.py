"""The journal's work."""

from tomic import _lazy

_lazy.offer(
    __name__, modules="corrections entries executions files opening review statistics trades"
)
