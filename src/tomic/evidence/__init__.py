"""How trades that were promised turned out: a walk forward over recorded surfaces, pure."""

from tomic import _lazy

_lazy.offer(__name__, modules="history managed ranking slices statistics structures trades walk")
