"""Functions that suggest the right name for a keyword that they do not have."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection, Iterable
from functools import wraps
from os.path import commonprefix
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def suggests(function: Callable[P, R]) -> Callable[P, R]:
    """
    Let *function* name the parameter that was probably meant by a keyword it does not know.

    Python refuses such a keyword too, but does not say which there are.

    Raises:
        TypeError: When it is called: a keyword is none of its parameters.
    """
    known = {
        name: parameter.kind for name, parameter in inspect.signature(function).parameters.items()
    }
    takes_any = inspect.Parameter.VAR_KEYWORD in known.values()

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        wrong = [] if takes_any else [name for name in kwargs if name not in known]
        if wrong:
            names = [name for name in known if name != "self"]
            raise TypeError(unknown_keyword(function.__name__, wrong[0], names))
        return function(*args, **kwargs)

    return checked


def unknown_keyword(function: str, name: str, known: Iterable[str]) -> str:
    """The sentence for a keyword that is not known, with the nearest of those that are."""
    return f"{function}() has no argument {name!r}; {nearest(name, list(known))}"


def nearest(name: str, known: Collection[str]) -> str:
    """``did you mean ...?``, or all there are."""
    near = _begun_alike(name.lower(), known) or difflib.get_close_matches(
        name.lower(), known, n=1, cutoff=0.5
    )
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"


def _begun_alike(name: str, known: Iterable[str]) -> list[str]:
    """The name that begins alike for longest, if for most of *name*: ``strikes``, strike_range."""
    # Letter by letter is what is meant.
    begun = {each: len(commonprefix([name, each])) for each in known}  # noqa: RUF071
    longest = max(begun.values(), default=0)
    if longest < 3 or 2 * longest <= len(name):
        return []
    return [min((each for each in begun if begun[each] == longest), key=len)]


def refuse_unknown(function: str, given: Iterable[str], known: Collection[str]) -> None:
    """
    Refuse keywords that are not among *known*, for a function that passes them on.

    Raises:
        TypeError: The first that is not.
    """
    for name in given:
        if name not in known:
            raise TypeError(unknown_keyword(function, name, known))
