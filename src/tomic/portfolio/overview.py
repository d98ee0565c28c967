"""The whole review of a book: pure, from what was read to everything that is shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tomic.config import Settings
from tomic.config.book import AlertsSettings
from tomic.legs import NamedLeg
from tomic.models.book import Book, Position
from tomic.models.review import (
    Alert,
    AssignmentRisk,
    BookReview,
    BookTotals,
    Concentration,
    PortfolioGreeks,
    StressGrid,
    Structure,
)
from tomic.portfolio import alerts, exposure, grouping, lines, stress, structures
from tomic.portfolio.exposure import ExposureRow
from tomic.portfolio.grouping import Claim, Grouping
from tomic.portfolio.lines import BookLine
from tomic.strategies.measures import margin_rules


@dataclass(frozen=True, slots=True)
class Holdings:
    """A book taken apart: its lines, its groups, and the legs of each group."""

    book: Book
    lines: tuple[BookLine, ...]
    grouping: Grouping
    rows: tuple[ExposureRow, ...]

    @classmethod
    def of(cls, book: Book, claims: Sequence[Claim] = ()) -> Holdings:
        """Merge, value and group the positions of *book*."""
        merged = grouping.merged(book.positions)
        valued = lines.lines_of(book, merged)
        present = [line.position for line in valued if _is_there(line)]
        cash = {
            account.account: account.cash for account in book.accounts if account.cash is not None
        }
        grouped = grouping.group(present, claims=claims, cash=_in_dollars(cash, book))
        return cls(book, valued, grouped, exposure.rows_of(grouped.groups, valued))

    def by_symbol(self) -> dict[str, PortfolioGreeks]:
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


def _in_dollars(cash: Mapping[str, float], book: Book) -> dict[str, float]:
    """Cash in terms of strikes, which are dollars for nearly everything that can be assigned."""
    rate = book.rate_of("USD")
    return {name: value / rate for name, value in cash.items()} if rate else {}


def review(
    book: Book, settings: Settings, *, claims: Sequence[Claim] = (), each_symbol: bool = False
) -> BookReview:
    """
    Review *book*: the same book and settings always give the same answer.

    Args:
        claims: Your pins and the journal's entries.
        each_symbol: Also a stress grid for every symbol by itself.
    """
    rules = settings.portfolio
    holdings = Holdings.of(book, claims)
    cash_account = settings.account.margin == "cash"
    built = structures.structures(
        holdings.grouping.groups,
        holdings.rows,
        book,
        rules=margin_rules(settings, cash=cash_account),
        broad_indices=settings.margin.broad_indices,
    )
    by_symbol = holdings.by_symbol()
    betas = exposure.betas(book, by_symbol, window=rules.beta_days)
    grid = stress.of_book(
        holdings.rows,
        [structure.id for structure in built],
        betas,
        rules.stress,
        benchmark=book.benchmark,
    )
    names = [structure.id for structure in built]
    risks = alerts.assignment_risks(holdings.rows, names, book, itm_share=rules.alerts.itm_share)
    sectors = {name: market.sector for name, market in book.markets.items()}
    shares = exposure.concentration(built, sectors)
    totals = _totals(book, built, by_symbol, grid).model_copy(
        update={
            "beta": exposure.beta_weighted(by_symbol, betas, book, window=rules.beta_days)
            if by_symbol
            else None
        }
    )
    fired = _alerts(book, totals, by_symbol, built, shares, risks, rules.alerts)
    return BookReview(
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
        notes=(*book.notes, *holdings.grouping.notes),
    )


def _alerts(
    book: Book,
    totals: BookTotals,
    by_symbol: dict[str, PortfolioGreeks],
    built: Sequence[Structure],
    shares: Sequence[Concentration],
    risks: Sequence[AssignmentRisk],
    limits: AlertsSettings,
) -> tuple[Alert, ...]:
    fired = [
        *alerts.of_book(
            totals, by_symbol, built, shares, limits, net_liquidation=book.net_liquidation
        ),
        *alerts.of_events(book, by_symbol, limits),
        *alerts.of_assignment(risks, limits),
    ]
    for structure in built:
        fired += alerts.of_structure(structure, book.markets.get(structure.symbol), limits)
    return alerts.ordered(fired)


def _totals(
    book: Book,
    built: Sequence[Structure],
    by_symbol: Mapping[str, PortfolioGreeks],
    grid: StressGrid | None,
) -> BookTotals:
    net = book.net_liquidation
    pnl = exposure.Total.of((structure.id, structure.pnl) for structure in built)
    margin = exposure.Total.of((structure.id, structure.margin) for structure in built)
    margin_net = exposure.Total.of((structure.id, structure.margin_net) for structure in built)
    lacking = {*margin.unknown, *margin_net.unknown}
    worst = grid.worst if grid else None
    sized = net is not None and net > 0.0
    return BookTotals(
        greeks=exposure.add(by_symbol.values()),
        # An empty book has no P&L to report, but its margin is known: zero.
        pnl=pnl.value if built else None,
        pnl_known=pnl.known if len(pnl.unknown) < len(built) else None,
        pnl_unknown=pnl.unknown,
        margin=margin.value,
        margin_net=margin_net.value,
        margin_known=margin.known,
        margin_unknown=tuple(structure.id for structure in built if structure.id in lacking),
        margin_share=margin.value / net if margin.value is not None and sized and net else None,
        worst=worst,
        worst_share=max(-worst.pnl, 0.0) / net if worst is not None and sized and net else None,
    )


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


def _considered(book: Book, leg: NamedLeg, account: str, known: Sequence[Position]) -> Position:
    like = next((position for position in known if grouping.is_named(position, leg)), None)
    market = book.markets.get(leg.symbol)
    currency = market.underlying.currency if market and market.underlying else "USD"
    position = Position(
        account=account,
        symbol=leg.symbol,
        sec_type="STK" if leg.is_stock else "OPT",
        quantity=leg.quantity,
        con_id=like.con_id if like else None,
        currency=like.currency if like else currency,
        right=leg.right or None,
        strike=leg.strike,
        expiry=leg.expiry,
        multiplier=like.multiplier if like else (1.0 if leg.is_stock else 100.0),
        trading_class=like.trading_class if like else "",
        local_symbol=like.local_symbol if like else "",
        proposed=True,
    )
    mark = book.marks.get(position.contract)
    cost = leg.price if leg.price is not None else mark.price if mark else None
    return position.model_copy(update={"average_cost": cost})
