"""How trades that were promised turned out: a walk forward over recorded surfaces, pure."""

from tomic import _lazy

_lazy.offer(
    __name__,
    modules="candidates choice differences history managed pool quoted ranking results slices "
    "statistics structures trades walk",
)
