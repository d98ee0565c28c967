"""
The whole review of a book: pure, from what was read to everything that is shown.

The money of a structure (credit, P&L, largest profit and loss, margin) is that of the whole
holding, in base currency.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, NamedTuple

import numpy as np

from tomic import dates
from tomic._typing import FloatArray
from tomic.config import Settings
from tomic.config.book import AlertsSettings
from tomic.errors import DataError
from tomic.legs import NamedLeg
from tomic.models import review as nouns
from tomic.models.book import Book, Position
from tomic.portfolio import alerts, exposure, grouping, lines, stress
from tomic.portfolio.exposure import ExposureRow
from tomic.portfolio.grouping import UNPATTERNED, Claim, Group, Grouping, Shapes
from tomic.portfolio.lines import BookLine
from tomic.quant import black_scholes, margin, payoff
from tomic.strategies.measures import foreign_margin, margin_rules


@dataclass(frozen=True, slots=True)
class Holdings:
    """A book taken apart: its lines, its groups, and the legs of each group."""

    book: Book
    lines: tuple[BookLine, ...]
    grouping: Grouping
    rows: tuple[ExposureRow, ...]

    @classmethod
    def of(cls, book: Book, claims: Sequence[Claim] = (), own: Shapes = UNPATTERNED) -> Holdings:
        """Merge, value and group the positions of *book*; *own* as of `grouping.group`."""
        merged = grouping.merged(book.positions)
        valued = lines.lines_of(book, merged)
        present = [line.position for line in valued if _is_there(line)]
        cash = {
            known.account: known.cash * rate
            for known in book.accounts
            if known.cash is not None and (rate := book.rate_of(known.currency)) is not None
        }
        grouped = grouping.group(present, claims=claims, cash=cash, rate_of=book.rate_of, own=own)
        return cls(book, valued, grouped, exposure.rows_of(grouped.groups, valued))

    def by_symbol(self) -> dict[str, nouns.PortfolioGreeks]:
        """Greeks of each symbol that has a counted line."""
        symbols = sorted({row.line.position.symbol for row in self.rows if row.line.counted})
        return {
            name: exposure.greeks(r for r in self.rows if r.line.position.symbol == name)
            for name in symbols
        }


def _is_there(line: BookLine) -> bool:
    """Whether a line is still held: neither closed nor expired."""
    expired = line.position.is_option and line.tau == 0.0
    return line.position.quantity != 0.0 and not expired


def review(
    book: Book, settings: Settings, *, claims: Sequence[Claim] = (), each_symbol: bool = False
) -> nouns.BookReview:
    """
    Review *book*: the same book and settings always give the same answer.

    Args:
        claims: Your pins and the journal's entries.
        each_symbol: Also a stress grid for every symbol by itself.
    """
    rules = settings.portfolio
    holdings = Holdings.of(book, claims, grouping.known_to(settings))
    cash_account = settings.account.margin == "cash"
    built = structures(
        holdings.grouping.groups,
        holdings.rows,
        book,
        rules=margin_rules(settings, cash=cash_account),
        broad_indices=settings.margin.broad_indices,
    )
    by_symbol = holdings.by_symbol()
    betas = exposure.betas(book, by_symbol, window=rules.beta_days)
    names = [structure.id for structure in built]
    grid = stress.of_book(holdings.rows, names, betas, rules.stress, benchmark=book.benchmark)
    risks = alerts.assignment_risks(holdings.rows, names, book, itm_share=rules.alerts.itm_share)
    sectors = {name: market.sector for name, market in book.markets.items()}
    shares = exposure.concentration(built, sectors)
    totals = _totals(book, built, by_symbol, grid)
    if by_symbol:
        beta = exposure.beta_weighted(by_symbol, betas, book, window=rules.beta_days)
        totals = totals.model_copy(update={"beta": beta})
    fired = _alerts(book, totals, by_symbol, built, shares, risks, rules.alerts)
    return nouns.BookReview(
        as_of=book.as_of,
        currency=book.currency,
        data_type=book.data_type,
        accounts=book.accounts,
        net_liquidation=book.net_liquidation,
        rates=book.rates,
        totals=totals,
        structures=built,
        concentration=shares,
        stress=grid,
        stress_by_symbol=stress.by_symbol(holdings.rows, rules.stress) if each_symbol else (),
        tail=stress.tail_risk(holdings.rows, book, confidence=rules.stress.var_confidence),
        jumps=stress.jumps(holdings.rows, book),
        assignments=risks,
        alerts=fired,
        gaps=lines.gaps(holdings.lines),
        notes=(
            *book.notes,
            *_rates_used(book, holdings.lines),
            *stress.assumptions(holdings.rows, book),
            *holdings.grouping.notes,
        ),
    )


def _rates_used(book: Book, held: Sequence[BookLine]) -> tuple[str, ...]:
    """At which rates money of other currencies is added, in one sentence."""
    rates = {
        line.position.currency: line.fx
        for line in held
        if line.counted and line.position.currency != book.currency
    }
    if not rates:
        return ()
    words = ", ".join(f"1 {name} = {rate:.6g} {book.currency}" for name, rate in rates.items())
    return (f"added in {book.currency} at {words}",)


def _alerts(
    book: Book,
    totals: nouns.BookTotals,
    by_symbol: dict[str, nouns.PortfolioGreeks],
    built: Sequence[nouns.Structure],
    shares: Sequence[nouns.Concentration],
    risks: Sequence[nouns.AssignmentRisk],
    limits: AlertsSettings,
) -> tuple[nouns.Alert, ...]:
    fired = [
        *alerts.of_book(
            totals, by_symbol, built, shares, limits, net_liquidation=book.net_liquidation
        ),
        *alerts.of_events(book, by_symbol, limits),
        *alerts.of_assignment(risks, limits),
    ]
    for structure in built:
        fired += alerts.of_structure(
            structure,
            book.markets.get(structure.symbol),
            limits,
            net_liquidation=book.net_liquidation,
        )
    return alerts.ordered(fired)


def _totals(
    book: Book,
    built: Sequence[nouns.Structure],
    by_symbol: Mapping[str, nouns.PortfolioGreeks],
    grid: nouns.StressGrid | None,
) -> nouns.BookTotals:
    net = book.net_liquidation
    pnl = exposure.Total.of((structure.id, structure.pnl) for structure in built)
    required = exposure.Total.of((structure.id, structure.margin) for structure in built)
    required_net = exposure.Total.of((structure.id, structure.margin_net) for structure in built)
    lacking = {*required.unknown, *required_net.unknown}
    worst = grid.worst if grid else None
    sized = net is not None and net > 0.0
    return nouns.BookTotals(
        greeks=exposure.add(by_symbol.values()),
        # An empty book has no P&L to report, but its margin is known: zero.
        pnl=pnl.value if built else None,
        pnl_known=pnl.known if len(pnl.unknown) < len(built) else None,
        pnl_unknown=pnl.unknown,
        margin=required.value,
        margin_net=required_net.value,
        margin_known=required.known,
        margin_unknown=tuple(structure.id for structure in built if structure.id in lacking),
        margin_share=required.value / net if required.value is not None and sized and net else None,
        worst=worst,
        worst_share=max(-worst.pnl, 0.0) / net if worst is not None and sized and net else None,
    )


# -- structures and their money -----------------------------------------------------------------

_REACH = np.linspace(0.2, 2.5, 461)
"""Prices at the first expiry, in units of spot, where structures of several expiries are valued."""


class StructureFigures(NamedTuple):
    """Money of a structure in its own currency; NaN where unknown."""

    credit: float
    pnl: float
    max_profit: float
    max_loss: float
    breakevens: tuple[float, ...] = ()


def structures(
    groups: Sequence[Group],
    rows: Sequence[ExposureRow],
    book: Book,
    *,
    rules: margin.MarginRules,
    broad_indices: Sequence[str] = (),
) -> tuple[nouns.Structure, ...]:
    """The structures of *groups*, in their order; *rows* are their legs (`exposure.rows_of`)."""
    legs = [list(leg_rows) for _, leg_rows in groupby(rows, key=lambda row: row.group)]
    margins = _margins(legs, rules, broad_indices)
    numbers: Counter[str] = Counter()
    result = []
    for group, leg_rows, required in zip(groups, legs, margins, strict=True):
        numbers[group.symbol] += 1
        name = f"{group.symbol}-{numbers[group.symbol]}"
        result.append(_structure(name, group, leg_rows, required, book))
    return tuple(result)


_SPAN = "margin of futures options is SPAN's, not ours: see TWS"


def _margin_notes(positions: Iterable[Position]) -> list[str]:
    """What the reader must know of the rules behind the margin."""
    if any(position.is_on_future for position in positions):
        return [_SPAN]
    currency = next((position.currency for position in positions), "USD")
    return [] if currency == "USD" else [foreign_margin(currency)]


def _structure(
    name: str, group: Group, rows: Sequence[ExposureRow], required: float, book: Book
) -> nouns.Structure:
    figures = _figures(rows)
    greeks = exposure.greeks(rows)
    rate = rows[0].line.fx
    credit, pnl = figures.credit * rate, figures.pnl * rate
    requirement = required * rate
    net = requirement - credit
    held = [row.line.position for row in rows]
    days = sorted(position.expiry for position in held if position.expiry)
    settled = min(filter(None, map(dates.settlement_of, held)), default=None)
    sigmas = [row.line.sigma for row in rows if row.line.sigma_source != "none"]
    complete = all(row.line.counted for row in rows)
    options = any(row.line.position.is_option for row in rows)
    opened, at_least = _opened(group, rows)
    return nouns.Structure(
        id=name,
        strategy=group.strategy,
        symbol=group.symbol,
        account=group.account,
        source=group.source,
        link=group.link,
        quantity=group.quantity,
        legs=tuple(_leg(row) for row in rows),
        currency=rows[0].line.position.currency,
        expiry=days[0] if days else None,
        last_expiry=days[-1] if days else None,
        dte=(settled - book.today).days if settled else None,
        greeks=greeks,
        delta_per_share=greeks.contract_delta / group.quantity if complete and options else None,
        credit=_known(credit) if options else None,
        cost=_known(_outlay(rows)[1] * rate - credit),
        pnl=_known(pnl),
        max_profit=_known(figures.max_profit * rate),
        max_loss=_known(figures.max_loss * rate),
        spot=_known(rows[0].line.underlying),
        breakevens=figures.breakevens,
        short_delta=_short_delta(rows),
        to_close=_known(_to_close(rows) * rate) if options else None,
        profit_share=_ratio(pnl, figures.max_profit * rate),
        margin=_known(requirement),
        margin_net=_known(net),
        rom=_ratio(pnl, net),
        theta_margin=_ratio(greeks.theta, net) if complete else None,
        iv=sum(sigmas) / len(sigmas) if sigmas else None,
        opened=opened,
        days_in_trade=(book.today - opened).days if opened else None,
        days_at_least=at_least,
        notes=(
            *(f"{r.line.position.contract}: {r.line.problem}" for r in rows if r.line.problem),
            *_margin_notes(held),
        ),
    )


def _leg(row: ExposureRow) -> nouns.HeldLeg:
    line, position = row.line, row.line.position
    return nouns.HeldLeg(
        contract=position.contract,
        quantity=row.quantity,
        right=position.right,
        strike=position.strike,
        expiry=position.expiry,
        multiplier=position.multiplier,
        con_id=position.con_id,
        cost=_known(line.cost),
        price=_known(line.price),
        price_source=line.price_source,
        iv=_known(line.sigma),
        sigma_source=line.sigma_source,
        delta=_known(line.delta),
        problem=line.problem,
    )


def _to_close(rows: Sequence[ExposureRow]) -> float:
    """What buying back all options costs at the middle of the market; negative where it pays."""
    return -sum(row.line.price * _shares(row) for row in rows if not row.line.position.is_stock)


def _short_delta(rows: Sequence[ExposureRow]) -> float | None:
    """The largest delta of what is sold, signed; None where one is unknown."""
    sold = [row.line.delta for row in rows if row.line.position.is_option and row.quantity < 0.0]
    return _known(max(sold, key=abs)) if sold and not any(map(math.isnan, sold)) else None


def _opened(group: Group, rows: Sequence[ExposureRow]) -> tuple[dt.date | None, bool]:
    """Day of entry, and whether that is only the first day on which a saved book held it."""
    if group.opened is not None:
        return group.opened, False
    first_days = [row.line.position.first_seen for row in rows]
    days = [day for day in first_days if day is not None]
    return (max(days), True) if len(days) == len(first_days) and days else (None, False)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _ratio(value: float, base: float) -> float | None:
    """Share of *value* in *base*; None where unknown, or *base* is not positive and finite."""
    if math.isnan(value) or math.isnan(base) or not 0.0 < base < math.inf:
        return None
    return value / base


# -- profit and loss ----------------------------------------------------------------------------


def _figures(rows: Sequence[ExposureRow]) -> StructureFigures:
    options = [row for row in rows if not row.line.position.is_stock]
    credit = -sum(row.line.cost * _shares(row) for row in options)
    pnl = sum((row.line.price - row.line.cost) * _shares(row) for row in rows)
    moments = {row.line.tau for row in options}
    complete = all(row.line.position.is_stock or row.line.counted for row in rows)
    if not options or not complete or math.isnan(credit):
        return StructureFigures(credit, pnl, *_of_shares(rows))
    if len(moments) == 1:
        return StructureFigures(credit, pnl, *_at_expiry(rows, credit))
    return StructureFigures(credit, pnl, *_at_first(rows, credit))


def _shares(row: ExposureRow) -> float:
    return row.quantity * row.line.position.multiplier


def _of_shares(rows: Sequence[ExposureRow]) -> tuple[float, float]:
    """Largest profit and loss of shares alone; unknown for anything else."""
    if not all(row.line.position.is_stock for row in rows):
        return math.nan, math.nan
    paid = sum(row.line.cost * row.quantity for row in rows)
    if math.isnan(paid):
        return math.nan, math.nan
    return (math.inf, paid) if paid > 0.0 else (-paid, math.inf)


def _outlay(rows: Sequence[ExposureRow]) -> tuple[float, float]:
    """Shares held and what they cost."""
    stock = [row for row in rows if row.line.position.is_stock]
    return sum(r.quantity for r in stock), sum(r.quantity * r.line.cost for r in stock)


def _at_expiry(
    rows: Sequence[ExposureRow], credit: float
) -> tuple[float, float, tuple[float, ...]]:
    """Largest profit and loss and the breakevens at the common expiry, exact."""
    options = [row for row in rows if row.line.position.is_option]
    shares, outlay = _outlay(rows)
    shape = payoff.segments(
        np.array([row.line.position.strike for row in options]),
        np.array([row.line.position.right == "C" for row in options]),
        np.array([_shares(row) for row in options]),
        credit=credit - outlay,
        stock=shares,
    )
    profile = payoff.profile(shape)
    breakevens = profile.breakevens[np.isfinite(profile.breakevens)]
    return float(profile.max_profit), float(profile.max_loss), tuple(breakevens.tolist())


def _at_first(rows: Sequence[ExposureRow], credit: float) -> tuple[float, float]:
    """Largest profit and loss at the first of several expiries, later legs revalued there."""
    options = [row for row in rows if row.line.position.is_option]
    first = min(row.line.tau for row in options)
    spot = rows[0].line.underlying
    strikes = [row.line.strike for row in options]
    price = np.unique(np.concatenate((spot * _REACH, strikes)))
    shares, outlay = _outlay(rows)
    total = credit - outlay + shares * price
    for row in options:
        total = total + _shares(row) * _later_value(row.line, price, first)
    slope = shares + sum(_shares(row) for row in options if row.line.position.right == "C")
    if math.isnan(spot) or np.isnan(total).any():
        return math.nan, math.nan
    top = math.inf if slope > 1e-9 else float(total.max())
    bottom = math.inf if slope < -1e-9 else max(-float(total.min()), 0.0)
    return top, bottom


def _later_value(line: BookLine, price: FloatArray, first: float) -> FloatArray:
    """Value of an option when the first one expires, its volatility unchanged."""
    strike, is_call = line.strike, line.position.right == "C"
    value = black_scholes.price(
        price, strike, line.tau - first, line.rate, line.div_yield, line.sigma, is_call
    )
    sign = 1.0 if is_call else -1.0
    return np.maximum(value, sign * (price - strike)) if line.is_american else value


# -- margin ---------------------------------------------------------------------------------------


def _margins(
    legs: Sequence[Sequence[ExposureRow]], rules: margin.MarginRules, broad_indices: Sequence[str]
) -> list[float]:
    """Requirement of each structure in its own currency; NaN where it cannot be known."""
    if not legs:
        return []
    options = [[row for row in rows if row.line.position.is_option] for rows in legs]
    width = max(1, *(len(rows) for rows in options))
    shape = (len(legs), width)
    columns = {name: np.zeros(shape) for name in ("strike", "quantity", "price", "tau")}
    columns["strike"] += 1.0
    is_call = np.zeros(shape, dtype=np.bool_)
    for number, rows in enumerate(options):
        for place, row in enumerate(rows):
            columns["strike"][number, place] = row.line.position.strike
            columns["quantity"][number, place] = _shares(row)
            columns["price"][number, place] = row.line.value
            columns["tau"][number, place] = row.line.tau
            is_call[number, place] = row.line.position.right == "C"
    margins = margin.requirement(
        columns["strike"],
        is_call,
        columns["quantity"],
        columns["price"],
        spot=np.array([rows[0].line.spot for rows in legs]),
        tau=columns["tau"],
        stock=np.array([_outlay(rows)[0] for rows in legs]),
        multiplier=1.0,
        broad_index=np.array([rows[0].line.position.symbol in broad_indices for rows in legs]),
        rules=rules,
    )
    known = [all(_has_margin(row.line) for row in rows) for rows in legs]
    return [
        float(need) if sound else math.nan
        for need, sound in zip(margins.requirement, known, strict=True)
    ]


def _has_margin(line: BookLine) -> bool:
    """
    Whether the rules know the contract: shares, and options with what they need.

    Futures options are margined by SPAN, which looks at a whole portfolio: that margin is the
    exchange's and not ours.
    """
    position = line.position
    return line.counted and not position.is_on_future and (position.is_stock or position.is_option)


# -- a trade that is considered ----------------------------------------------------------------


def with_legs(
    book: Book, legs: Iterable[NamedLeg], *, account: str = "", known: Sequence[Position] = ()
) -> Book:
    """
    The book with *legs* added as a considered trade, entered at the present marks.

    `without_considered` takes exactly these away again. They join *account*, by default the one
    that holds most positions. *known* are contracts, held nowhere, whose ids and classes they take.
    """
    where = account or _main_account(book)
    added = tuple(_considered(book, leg, where, (*book.positions, *known)) for leg in legs)
    return book.model_copy(update={"positions": (*book.positions, *added)})


def without_considered(book: Book) -> Book:
    """The book without any trade that is only considered."""
    kept = tuple(position for position in book.positions if not position.proposed)
    return book.model_copy(update={"positions": kept})


def _main_account(book: Book) -> str:
    names = [position.account for position in book.positions]
    names += [account.account for account in book.accounts]
    return max(sorted(set(names)), key=names.count, default="")


_US_CURRENCY, _US_MULTIPLIER = "USD", 100.0
"""Of contracts that nothing else is known of: those of an American exchange."""


def _multiplier(leg: NamedLeg, currency: str, known: Sequence[Position]) -> float:
    """
    Shares per contract of a leg that is held nowhere: as of its neighbours, else the American 100.

    Raises:
        DataError: It is not listed in the United States, and no contract of it is known.
    """
    if leg.is_stock:
        return 1.0
    sizes = {
        position.multiplier
        for position in known
        if position.symbol == leg.symbol and position.is_option and not position.is_adjusted
    }
    if len(sizes) == 1:
        return sizes.pop()
    if currency == _US_CURRENCY:
        return _US_MULTIPLIER
    raise DataError(
        f"the size of a contract on {leg.symbol} ({currency}) is not known; ask without --file or "
        "--last, so that the gateway tells it"
    )


def _considered(book: Book, leg: NamedLeg, account: str, known: Sequence[Position]) -> Position:
    like = next((position for position in known if grouping.is_named(position, leg)), None)
    market = book.markets.get(leg.symbol)
    underlying = market.underlying if market else None
    currency = underlying.currency if underlying else _US_CURRENCY
    kind: Literal["OPT", "FOP"] = "FOP" if underlying and underlying.is_future else "OPT"
    position = Position(
        account=account,
        symbol=leg.symbol,
        sec_type="STK" if leg.is_stock else kind,
        quantity=leg.quantity,
        con_id=like.con_id if like else None,
        currency=like.currency if like else currency,
        right=leg.right or None,
        strike=leg.strike,
        expiry=like.expiry if like else leg.expiry,
        multiplier=like.multiplier if like else _multiplier(leg, currency, known),
        trading_class=like.trading_class if like else "",
        local_symbol=like.local_symbol if like else "",
        proposed=True,
    )
    mark = book.marks.get(position.contract)
    cost = leg.price if leg.price is not None else mark.price if mark else None
    return position.model_copy(update={"average_cost": cost})
