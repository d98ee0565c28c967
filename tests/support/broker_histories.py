"""
Made-up histories of accounts: what was traded, what it came to, and what a broker writes of it.

The truth is kept campaign by campaign while the trading happens; no code of the program is asked.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
START = dt.date(2025, 5, 5)
EXPIRIES = (dt.date(2025, 5, 30), dt.date(2025, 6, 20), dt.date(2025, 7, 18), dt.date(2025, 8, 15))
END = dt.datetime(2025, 8, 29, 16, tzinfo=NEW_YORK)


@dataclass(frozen=True)
class Terms:
    """A contract as the broker lists it; no right for shares."""

    symbol: str
    con_id: int
    trading_class: str = ""
    multiplier: int = 1
    expiry: dt.date | None = None
    strike: float = 0.0
    right: str = ""

    @property
    def occ(self) -> str:
        """As the OCC writes it, in 21 characters."""
        assert self.expiry is not None
        strike = round(self.strike * 1000)
        return f"{self.trading_class:<6}{self.expiry:%y%m%d}{self.right}{strike:08d}"


@dataclass
class Row:
    """One execution, or one booking of an evening, as the broker keeps it."""

    at: dt.datetime
    account: str
    currency: str
    terms: Terms
    quantity: float
    price: float
    commission: float
    order: str
    exec_id: str
    """Empty for what no exchange reported."""
    trade_id: str
    transaction_id: str
    codes: tuple[str, ...]
    cancels: Row | None = None
    replaces: Row | None = None

    @property
    def is_booked(self) -> bool:
        return not self.exec_id and self.cancels is None


@dataclass
class Settlement:
    """Money for an index option that ended in the money."""

    at: dt.datetime
    account: str
    currency: str
    terms: Terms
    amount: float
    number: str


@dataclass
class Split:
    """What a company did to its shares."""

    at: dt.datetime
    symbol: str
    ratio: float
    is_told: bool


@dataclass
class Campaign:
    """What one idea holds and has brought in: the truth that a journal has to find."""

    account: str
    currency: str
    symbol: str
    legs: dict[int, float] = field(default_factory=dict)
    """Quantity by contract id."""
    cash: float = 0.0

    def take(self, terms: Terms, quantity: float, price: float, commission: float) -> None:
        left = self.legs.get(terms.con_id, 0.0) + quantity
        self.legs[terms.con_id] = left
        if abs(left) < 1e-9:
            del self.legs[terms.con_id]
        self.cash -= quantity * terms.multiplier * price + commission


@dataclass
class History:
    """Everything that happened."""

    rows: list[Row] = field(default_factory=list)
    settlements: list[Settlement] = field(default_factory=list)
    splits: list[Split] = field(default_factory=list)
    campaigns: list[Campaign] = field(default_factory=list)
    terms: dict[int, Terms] = field(default_factory=dict)
    """Contracts as they are listed at the end."""

    def truth(self) -> list[tuple[object, ...]]:
        """Entries as they have to be: whose, of what, what is held, and the cash in cents."""
        return sorted(
            (one.account, one.currency, one.symbol, self._held(one), round(one.cash, 2) + 0.0)
            for one in self.campaigns
        )

    def _held(self, campaign: Campaign) -> tuple[tuple[object, ...], ...]:
        return tuple(
            sorted(
                (str(terms.expiry or ""), terms.strike, terms.right, round(quantity, 6))
                for con_id, quantity in campaign.legs.items()
                for terms in [self.terms[con_id]]
            )
        )


@dataclass(frozen=True)
class Kinds:
    """What may happen in a history, for some reports do not tell everything."""

    accounts: int = 2
    currencies: bool = True
    splits: bool = True
    cancels: bool = True
    rebookings: bool = True
    indices: bool = True
    days_in_parts: bool = True
    pace: float = 1.0
    """How often somebody trades: 1 is every other day."""


class _Numbers:
    def __init__(self) -> None:
        self._last = 1000

    def next(self) -> int:
        self._last += 10
        return self._last


def history(seed: int, kinds: Kinds | None = None) -> History:
    """A history that is the same for the same seed."""
    rng, made, kinds = random.Random(seed), History(), kinds or Kinds()
    numbers = _Numbers()
    accounts = [f"U{n}" for n in range(1, 1 + rng.randint(1, kinds.accounts))]
    stops = rng.choice([END, dt.datetime(2025, 7, 10, 12, tzinfo=NEW_YORK)])
    symbols = rng.sample(["XYZ", "BRK.B", "ABC"], rng.randint(1, 2))
    for number, symbol in enumerate(symbols):
        currency = "EUR" if kinds.currencies and number and rng.random() < 0.5 else "USD"
        listing = _Listing(made, symbol, 100, numbers)
        split = None
        if kinds.splits and rng.random() < 0.4:
            day = rng.choice([dt.date(2025, 5, 26), dt.date(2025, 6, 23)])
            is_told = stops != END or rng.random() < 0.5
            ratio = float(rng.choice([2, 4, 10]))
            split = Split(dt.datetime.combine(day, dt.time(4), NEW_YORK), symbol, ratio, is_told)
            made.splits.append(split)
        traders = [
            _Trader(rng, made, account, currency, listing, numbers, kinds, number)
            for account in accounts
        ]
        _live(rng, traders, listing, split, stops)
    if kinds.indices and rng.random() < 0.3:
        listing = _Listing(made, "SPX", 100, numbers)
        trader = _Trader(rng, made, accounts[0], "USD", listing, numbers, kinds, len(symbols))
        _live(rng, [trader], listing, None, stops)
    made.rows.sort(key=lambda row: row.at)
    return made


def _live(
    rng: random.Random,
    traders: list[_Trader],
    listing: _Listing,
    split: Split | None,
    stops: dt.datetime,
) -> None:
    day = START
    ends = {expiry: rng.uniform(80.0, 120.0) for expiry in EXPIRIES}
    while True:
        for trader in traders:
            trader.minute = 0
        moment = dt.datetime.combine(day, dt.time(9, 45), NEW_YORK)
        if moment > stops:
            return
        if split is not None and split.at.date() == day:
            listing.split(split.ratio)
            # Shares have no terms that would give it away.
            split.is_told |= any(trader.has_shares for trader in traders)
            for trader in traders:
                trader.multiply(split.ratio)
            ends = {expiry: price / split.ratio for expiry, price in ends.items()}
        if day.weekday() < 5:
            for trader in traders:
                trader.flatten_shares(day)
                for _ in range(rng.choice([0, 0, 0, 1, 1, 2])):
                    if rng.random() < trader.kinds.pace:
                        trader.act(day)
                if day not in ends and rng.random() < 0.03:
                    # In the evening, after everything else.
                    trader.assign_early(day)
                if day in ends:
                    trader.expire(day, ends[day])
        day += dt.timedelta(days=1)


class _Listing:
    """Contracts of one underlying; a split changes their terms and keeps their numbers."""

    def __init__(self, made: History, symbol: str, multiplier: int, numbers: _Numbers) -> None:
        self.made, self.symbol, self.multiplier, self.numbers = made, symbol, multiplier, numbers
        self.scale = 1.0
        self._by_name: dict[tuple[dt.date, int, str], int] = {}
        self.shares = Terms(symbol, numbers.next())
        made.terms[self.shares.con_id] = self.shares
        self.is_index = symbol == "SPX"

    def option(self, expiry: dt.date, step: int, right: str) -> int:
        """The number of a contract; *step* counts strikes away from 100."""
        name = (expiry, step, right)
        if name not in self._by_name:
            strike = 100.0 + step if right == "C" else 100.0 - step
            root = "SPXW" if self.is_index else self.symbol.replace(".", " ")
            con_id = self.numbers.next()
            self._by_name[name] = con_id
            self.made.terms[con_id] = Terms(
                self.symbol, con_id, root, self.multiplier, expiry,
                round(strike / self.scale, 4), right,
            )  # fmt: skip
        return self._by_name[name]

    def split(self, ratio: float) -> None:
        self.scale *= ratio
        for con_id in self._by_name.values():
            terms = self.made.terms[con_id]
            self.made.terms[con_id] = replace(terms, strike=round(terms.strike / ratio, 4))


class _Trader:
    """One account that trades one underlying."""

    def __init__(
        self,
        rng: random.Random,
        made: History,
        account: str,
        currency: str,
        listing: _Listing,
        numbers: _Numbers,
        kinds: Kinds,
        place: int,
    ) -> None:
        self.rng, self.made, self.account, self.currency = rng, made, account, currency
        self.listing, self.numbers, self.kinds, self.place = listing, numbers, kinds, place
        self.open: list[Campaign] = []
        self.minute = 0
        self.step = 0

    # -- the market

    def _moment(self, day: dt.date) -> dt.datetime:
        """Each order has minutes of its own, so that statements without numbers tell them apart."""
        self.minute += self.rng.randint(3, 9)
        slot = 7 * self.place + 3 * (self.account == "U2")
        return dt.datetime.combine(day, dt.time(10), NEW_YORK) + dt.timedelta(
            minutes=self.minute, seconds=slot
        )

    def _price(self) -> float:
        return round(self.rng.uniform(0.1, 6.0), 2)

    def _execute(
        self,
        at: dt.datetime,
        legs: list[tuple[int, float, str]],
        *,
        order: str = "",
        whole: bool = False,
    ) -> list[Row]:
        """Rows of one order: contract, quantity, codes; now and then in parts."""
        order = order or str(50_000_000 + self.numbers.next())
        rows = []
        for con_id, quantity, codes in legs:
            terms = self.made.terms[con_id]
            price = self._price() if terms.right else round(self.rng.uniform(80, 120), 2)
            sizes = [quantity]
            if not whole and abs(quantity) > 1 and self.rng.random() < 0.4:
                first = float(self.rng.randint(1, int(abs(quantity)) - 1))
                sign = 1.0 if quantity > 0 else -1.0
                sizes = [sign * first, quantity - sign * first]
            for part, size in enumerate(sizes):
                number = self.numbers.next()
                fee = round(0.65 * abs(size) + 0.0, 2) if terms.right else 1.0
                rows.append(
                    Row(
                        at + dt.timedelta(seconds=part),
                        self.account, self.currency, terms, size,
                        round(price + 0.01 * part, 2), fee, order,
                        f"0000e0d5.{number:08x}.01.01", str(number), str(number + 5),
                        tuple(codes.split(";")),
                    )
                )  # fmt: skip
        self.made.rows += rows
        return rows

    def _give(self, rows: list[Row], owners: list[tuple[Campaign, int, float]]) -> None:
        """Book rows to campaigns: of each contract so many contracts to each."""
        for campaign, con_id, quantity in owners:
            own = [
                row for row in rows if row.terms.con_id == con_id and row.quantity * quantity > 0
            ]
            total = sum(row.quantity for row in own)
            value = sum(row.quantity * row.price for row in own)
            fee = sum(row.commission for row in own)
            share = quantity / total
            campaign.take(own[0].terms, quantity, value / total, fee * share)
            if not campaign.legs and campaign in self.open:
                self.open.remove(campaign)

    def _campaign(self) -> Campaign:
        campaign = Campaign(self.account, self.currency, self.listing.symbol)
        self.made.campaigns.append(campaign)
        self.open.append(campaign)
        return campaign

    def _strike(self) -> int:
        """Steps that nobody used yet: what is closed then tells whose it is."""
        self.step += 1
        return self.step

    # -- what a trader does

    def act(self, day: dt.date) -> None:
        later = [expiry for expiry in EXPIRIES if (expiry - day).days > 10]
        actions: list[Callable[[dt.date], None]] = []
        if later:
            actions += [self.sell, self.sell, self.add_same, self.leg_in]
            if self.kinds.cancels:
                actions += [self.cancel]
            if self.kinds.rebookings:
                actions += [self.rebook]
        if self._plain():
            actions += [self.close, self.close, self.close_part]
            if later:
                actions += [self.roll, self.flip]
        if actions:
            self.rng.choice(actions)(day)

    def _expiry(self, day: dt.date) -> dt.date:
        return self.rng.choice([expiry for expiry in EXPIRIES if (expiry - day).days > 10])

    def _plain(self) -> list[Campaign]:
        """Open campaigns whose contracts no other holds."""
        holders: dict[int, int] = {}
        for campaign in self.open:
            for con_id in campaign.legs:
                holders[con_id] = holders.get(con_id, 0) + 1
        return [
            one
            for one in self.open
            if not self._shares(one) and all(holders[con_id] == 1 for con_id in one.legs)
        ]

    def _shape(self, day: dt.date, size: float) -> list[tuple[int, float]]:
        expiry = self._expiry(day)
        shape = self.rng.choice(["put", "call", "spread", "strangle", "condor"])
        legs = []
        for right, is_used in (
            ("P", shape != "call"),
            ("C", shape in ("call", "strangle", "condor")),
        ):
            if not is_used:
                continue
            legs.append((self.listing.option(expiry, self._strike(), right), -size))
            if shape in ("spread", "condor"):
                legs.append((self.listing.option(expiry, self._strike(), right), size))
        return legs

    def sell(self, day: dt.date) -> None:
        """Open a campaign, now and then over two days."""
        size = float(self.rng.randint(1, 4))
        legs = self._shape(day, size)
        campaign = self._campaign()
        parts = [1.0]
        if self.kinds.days_in_parts and size % 2 == 0 and self.rng.random() < 0.2:
            parts = [0.5, 0.5]
        order = str(50_000_000 + self.numbers.next())
        at = self._moment(day)
        for number, share in enumerate(parts):
            own = [(con_id, quantity * share) for con_id, quantity in legs]
            moment = at + dt.timedelta(hours=3 * number)
            rows = self._execute(moment, [(*leg, "O") for leg in own], order=order)
            self._give(rows, [(campaign, con_id, quantity) for con_id, quantity in own])

    def add_same(self, day: dt.date) -> None:
        """Sell what is sold already, in a campaign of its own, and take all of it back at once."""
        con_id = self.listing.option(self._expiry(day), self._strike(), self.rng.choice("PC"))
        sizes = [float(self.rng.randint(1, 3)) for _ in range(self.rng.randint(2, 3))]
        campaigns = []
        for size in sizes:
            campaigns.append(self._campaign())
            rows = self._execute(self._moment(day), [(con_id, -size, "O")])
            self._give(rows, [(campaigns[-1], con_id, -size)])
        if self.rng.random() < 0.5:
            rows = self._execute(self._moment(day), [(con_id, sum(sizes), "C")])
            owners = zip(campaigns, sizes, strict=True)
            self._give(rows, [(campaign, con_id, size) for campaign, size in owners])

    def leg_in(self, day: dt.date) -> None:
        """Sell a put, then a call; now and then close both as one order."""
        expiry, size = self._expiry(day), float(self.rng.randint(1, 3))
        owners = []
        for right in "PC":
            con_id = self.listing.option(expiry, self._strike(), right)
            campaign = self._campaign()
            self._give(
                self._execute(self._moment(day), [(con_id, -size, "O")]),
                [(campaign, con_id, -size)],
            )
            owners.append((campaign, con_id, size))
        if self.rng.random() < 0.6:
            legs = [(con_id, size, "C") for _, con_id, size in owners]
            self._give(self._execute(self._moment(day), legs), owners)

    def close(self, day: dt.date) -> None:
        campaign = self.rng.choice(self._plain())
        self._take_back(day, campaign, 1.0)

    def close_part(self, day: dt.date) -> None:
        campaign = self.rng.choice(self._plain())
        sizes = {abs(quantity) for quantity in campaign.legs.values()}
        if len(sizes) == 1 and (size := sizes.pop()) > 1:
            self._take_back(day, campaign, 1.0 / size)

    def _take_back(self, day: dt.date, campaign: Campaign, share: float) -> None:
        legs = [(con_id, -quantity * share) for con_id, quantity in campaign.legs.items()]
        rows = self._execute(self._moment(day), [(*leg, "C") for leg in legs])
        self._give(rows, [(campaign, con_id, quantity) for con_id, quantity in legs])

    def roll(self, day: dt.date) -> None:
        """Every leg to a later expiry, or another strike, in one order."""
        campaign = self.rng.choice(self._plain())
        expiry = self._expiry(day)
        old = list(campaign.legs.items())
        new = [
            (self.listing.option(expiry, self._strike(), self.made.terms[con_id].right), quantity)
            for con_id, quantity in old
        ]
        legs = [(con_id, -quantity, "C") for con_id, quantity in old]
        legs += [(con_id, quantity, "O") for con_id, quantity in new]
        rows = self._execute(self._moment(day), legs)
        # The campaign must not end in between.
        self._give(rows, [(campaign, con_id, quantity) for con_id, quantity in new])
        self._give(rows, [(campaign, con_id, -quantity) for con_id, quantity in old])

    def flip(self, day: dt.date) -> None:
        """Buy more than was sold: one campaign ends, another begins, and is sold the same day."""
        singles = [
            one for one in self._plain() if len(one.legs) == 1 and min(one.legs.values()) < 0
        ]
        if not singles:
            return
        campaign = self.rng.choice(singles)
        ((con_id, short),) = campaign.legs.items()
        more = float(self.rng.randint(1, 3))
        rows = self._execute(self._moment(day), [(con_id, more - short, "C;O")])
        other = self._campaign()
        self._give(rows, [(campaign, con_id, -short), (other, con_id, more)])
        self._take_back(day, other, 1.0)

    def cancel(self, day: dt.date) -> None:
        """A trade that never was: taken back, its fee too."""
        con_id = self.listing.option(self._expiry(day), self._strike(), "P")
        (row,) = self._execute(self._moment(day), [(con_id, -2.0, "O")], whole=True)
        self._cancel(row, refund=row.commission)

    def rebook(self, day: dt.date) -> None:
        """A trade that was booked wrongly: taken back, and booked anew with another price."""
        con_id = self.listing.option(self._expiry(day), self._strike(), "P")
        campaign = self._campaign()
        (row,) = self._execute(self._moment(day), [(con_id, -2.0, "O")], whole=True)
        self._cancel(row, refund=0.0)
        again = replace(
            row,
            at=row.at,
            quantity=-1.0,
            price=round(row.price + 0.05, 2),
            commission=-0.65,
            exec_id=row.exec_id[:-1] + "2",
            transaction_id=str(self.numbers.next()),
            replaces=row,
        )
        self.made.rows.append(again)
        campaign.take(row.terms, -1.0, again.price, row.commission + again.commission)

    def _cancel(self, row: Row, *, refund: float) -> None:
        taken = replace(
            row,
            at=row.at + dt.timedelta(minutes=1),
            quantity=-row.quantity,
            commission=-refund,
            exec_id="",
            trade_id="",
            transaction_id=str(self.numbers.next()),
            codes=("Ca",),
            cancels=row,
        )
        self.made.rows.append(taken)

    # -- what ends

    def _book(
        self, at: dt.datetime, terms: Terms, quantity: float, price: float, codes: str, number: int
    ) -> Row:
        row = Row(
            at, self.account, self.currency, terms, quantity, price, 0.0,
            str(number + 1), "", str(number), str(number + 1), tuple(codes.split(";")),
        )  # fmt: skip
        self.made.rows.append(row)
        return row

    def assign_early(self, day: dt.date) -> None:
        singles = [
            one for one in self._plain() if len(one.legs) == 1 and min(one.legs.values()) < 0
        ]
        if not singles or self.has_shares or self.listing.is_index:
            return
        campaign = self.rng.choice(singles)
        ((con_id, _),) = campaign.legs.items()
        self._end(dt.datetime.combine(day, dt.time(16, 20), NEW_YORK), con_id, is_worthless=False)

    def expire(self, day: dt.date, price: float) -> None:
        """Everything of this expiry ends, all at one moment."""
        at = dt.datetime.combine(day, dt.time(16, 20), NEW_YORK)
        held = {con_id for one in self.open for con_id in one.legs}
        for con_id in sorted(held, key=lambda _: self.rng.random()):
            terms = self.made.terms[con_id]
            if terms.expiry == day:
                sign = 1.0 if terms.right == "C" else -1.0
                inside = max(sign * (price - terms.strike), 0.0)
                self._end(at, con_id, is_worthless=inside == 0.0, inside=round(inside, 2))

    def _end(
        self, at: dt.datetime, con_id: int, *, is_worthless: bool, inside: float = 1.0
    ) -> None:
        owners = [one for one in self.open if con_id in one.legs]
        total = sum(one.legs[con_id] for one in owners)
        terms = self.made.terms[con_id]
        word = "Ep" if is_worthless else "Ex" if total > 0 else "A"
        number = self.numbers.next()
        self._book(at, terms, -total, 0.0, f"C;{word}", number)
        sign = 1.0 if terms.right == "C" else -1.0
        if not is_worthless and self.listing.is_index:
            amount = round(total * terms.multiplier * inside, 2)
            self.made.settlements.append(
                Settlement(at, self.account, self.currency, terms, amount, f"EAE{number}")
            )
        elif not is_worthless:
            shares = sign * total * terms.multiplier
            self._book(at, self.listing.shares, shares, terms.strike, f"{word};O", number + 1)
        for campaign in owners:
            quantity = campaign.legs[con_id]
            campaign.take(terms, -quantity, 0.0, 0.0)
            if not is_worthless and self.listing.is_index:
                campaign.cash += round(quantity * terms.multiplier * inside, 2)
            elif not is_worthless:
                size = sign * quantity * terms.multiplier
                campaign.take(self.listing.shares, size, terms.strike, 0.0)
            if not campaign.legs:
                self.open.remove(campaign)

    def _shares(self, campaign: Campaign) -> float:
        return campaign.legs.get(self.listing.shares.con_id, 0.0)

    @property
    def has_shares(self) -> bool:
        return any(self._shares(campaign) for campaign in self.open)

    def flatten_shares(self, day: dt.date) -> None:
        """Sell all shares on the day after, whichever campaigns they are of, in one order."""
        owners = [(one, self._shares(one)) for one in self.open if self._shares(one)]
        con_id = self.listing.shares.con_id
        total = sum(size for _, size in owners)
        if total:
            rows = self._execute(self._moment(day), [(con_id, -total, "C")], whole=True)
            self._give(rows, [(campaign, con_id, -size) for campaign, size in owners])

    def multiply(self, ratio: float) -> None:
        """A split: every contract held becomes more of them."""
        for campaign in self.open:
            campaign.legs = {con_id: size * ratio for con_id, size in campaign.legs.items()}
