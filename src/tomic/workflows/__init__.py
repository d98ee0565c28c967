"""What reads like the mission: edges and decisions brought together."""

from tomic import _lazy

_lazy.offer(__name__, modules="jobs recording scan stand_in")
