"""Account numbers: what looks like one, and how it is shown to anyone but its owner."""

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

    Names from the gateway are masked whatever they look like. Two accounts that would be shown
    alike get a number at the end, so that they stay distinct.
    """

    def __init__(self) -> None:
        self._shown: dict[str, str] = {}
        self._named: re.Pattern[str] | None = None
        self._secrets: set[str] = set()

    def hide(self, secret: str) -> None:
        """Add a secret, such as a token: nothing of it is ever shown."""
        if secret:
            self._secrets.add(secret)

    def learn(self, accounts: Iterable[str]) -> None:
        """Add the names of accounts, whatever they look like; none is forgotten."""
        fresh = {name for account in accounts if (name := account.strip())} - self._shown.keys()
        # Masked already: a recording that is served again.
        for name in sorted(name for name in fresh if "***" not in name):
            self._shown[name] = self._free(masked(name))
        if self._shown:
            longest = sorted(self._shown, key=len, reverse=True)
            self._named = re.compile("|".join(map(_anywhere, longest)))

    def learn_from(self, text: str) -> None:
        """Add whatever looks like an account number in *text*."""
        self.learn(match[0] for match in _SHAPE.finditer(text))

    def _free(self, shown: str) -> str:
        taken, number, name = set(self._shown.values()), 1, shown
        while name in taken:
            number += 1
            name = f"{shown}-{number}"
        return name

    def text(self, text: str) -> str:
        """*text* with every account number shortened: ``U1234567`` becomes ``U***567``."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        if self._named is not None:
            text = self._named.sub(lambda match: self._shown[match[0]], text)
        return _SHAPE.sub(lambda match: masked(match[0]), text)

    def same_length(self, text: str) -> str:
        """As `text`, with a star for every character removed."""

        def stars(match: re.Match[str]) -> str:
            account = match[0]
            return _masked(account, "*" * (len(account) - len(_masked(account, ""))))

        for pattern in (self._named, _SHAPE):
            text = text if pattern is None else pattern.sub(stars, text)
        return text


def _anywhere(name: str) -> str:
    """A pattern for *name*: wherever it stands, or as a word where it might be another's part."""
    if len(name) >= _LEAST and not name.isdecimal() and any(map(str.isdecimal, name)):
        return re.escape(name)
    return rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])"


named_here = Masks()
"""The account names this process has met, for masking logs and messages."""
