"""The journal's work."""

from tomic import _lazy

_lazy.offer(
    __name__, modules="entries executions files manage review statistics track trades verbs"
)
