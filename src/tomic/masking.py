"""Account numbers: what looks like one, and what is shown of it to others than their owner."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SHAPE = re.compile(r"(?<![A-Za-z0-9])(?P<kind>D?[UFI][A-Z]?|D[A-Z]{2})\d{5,}[A-Z]?(?![A-Za-z0-9])")
"""
IB's account numbers: U, F or I and digits; with a D in front, and often a letter behind that, on
paper. All accounts of an advisor together have a letter at the end.
"""
_LEAST = 6
"""Letters of a name that can be recognised inside other text."""
_LAST = 3


def masked(account: str) -> str:
    """An account number of which only the kind and the last digits can be read."""
    return _masked(account, "***")


def _masked(account: str, stars: str) -> str:
    if len(account) <= 5:
        return stars
    letters = re.match(r"[A-Za-z]*", account)
    kind = letters[0] if letters else ""
    if len(account) - len(kind) - _LAST < 2:
        # Letters alone: most of them are the name itself.
        kind = account[:1]
    return f"{kind}{stars}{account[-_LAST:]}"


class Masks:
    """
    Masks account numbers in text: those that a gateway named, and whatever looks like one.

    What the gateway names is the truth; it may look like nothing known. Two accounts that would
    be shown alike get a number behind, so that they stay two.
    """

    def __init__(self) -> None:
        self._shown: dict[str, str] = {}
        self._named: re.Pattern[str] | None = None

    def learn(self, accounts: Iterable[str]) -> None:
        """Take the names of accounts, whatever they look like; none is forgotten."""
        fresh = {name for one in accounts if (name := one.strip())} - self._shown.keys()
        # Masked already: a recording that is served again.
        for name in sorted(one for one in fresh if "***" not in one):
            self._shown[name] = self._free(masked(name))
        if self._shown:
            longest = sorted(self._shown, key=len, reverse=True)
            self._named = re.compile("|".join(map(_anywhere, longest)))

    def learn_from(self, text: str) -> None:
        """Take what looks like an account number in *text*."""
        self.learn(found[0] for found in _SHAPE.finditer(text))

    def _free(self, shown: str) -> str:
        taken, number, name = set(self._shown.values()), 1, shown
        while name in taken:
            number += 1
            name = f"{shown}-{number}"
        return name

    def text(self, text: str) -> str:
        """*text* with every account number shortened: ``U1234567`` becomes ``U***567``."""
        if self._named is not None:
            text = self._named.sub(lambda found: self._shown[found[0]], text)
        return _SHAPE.sub(lambda found: masked(found[0]), text)

    def same_length(self, text: str) -> str:
        """As `text`, with as many stars as characters went."""

        def stars(found: re.Match[str]) -> str:
            whole = found[0]
            return _masked(whole, "*" * (len(whole) - len(_masked(whole, ""))))

        for pattern in (self._named, _SHAPE):
            text = text if pattern is None else pattern.sub(stars, text)
        return text


def _anywhere(name: str) -> str:
    """A pattern for *name*: wherever it stands, or as a word where it might be another's part."""
    if len(name) >= _LEAST and not name.isdecimal() and any(map(str.isdecimal, name)):
        return re.escape(name)
    return rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])"


named_here = Masks()
"""What this process heard of accounts, for logs and messages."""
