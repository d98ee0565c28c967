"""Reports as one HTML file, and the pictures in them."""

from tomic import _lazy

_lazy.offer(__name__, modules="collect html layout")
