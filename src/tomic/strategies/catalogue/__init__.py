"""The strategies TOMIC knows: templates, the rules of their legs, gates."""

from tomic import _lazy

_lazy.offer(__name__, modules="templates")
