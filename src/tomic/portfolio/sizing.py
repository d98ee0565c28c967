"""
How many: contracts of a proposal that an account can carry, and which limit decides.

The number is the least of three, each rounded down:

- by risk: ``account.risk_per_trade`` of net liquidation over the trade's CVaR95;
- by margin: ``account.max_margin_per_trade`` of net liquidation, and not more than the excess
  liquidity that is left, over the trade's margin;
- by cluster: ``account.risk_per_cluster`` of net liquidation, less what is already at risk on the
  same side of the same symbol and of symbols whose returns correlate above
  ``scan.max_correlation``, over the CVaR95.

What is held counts with its maximum loss or its margin, whichever is less. Kelly's
number stands beside and limits nothing; it is that of the lower bound of EV, 1.28 standard errors
below it (one in ten is lower), as Kelly's fraction is proportional to a small edge.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tomic.config import AccountSettings, Settings
from tomic.models import Proposal, ScanResult, TradeSize, major_currency
from tomic.models.book import Book
from tomic.models.review import BookReview, Structure
from tomic.models.trade import Side
from tomic.strategies.catalogue.templates import CATALOGUE

LOWER = 1.28
"""Standard errors of EV below it at which Kelly is taken: the 10 % quantile of a normal."""

UNKNOWN = (
    "net liquidation unknown, so no number of contracts: tomic portfolio saves it, or set "
    "[account] net_liquidation"
)

Correlations = Mapping[frozenset[str], float]


@dataclass(frozen=True, slots=True)
class HeldRisk:
    """What one structure that is held may lose, in the currency of the account."""

    symbol: str
    side: Side
    risk: float


@dataclass(frozen=True, slots=True)
class Capital:
    """What trades are sized by; money in `currency`."""

    net_liquidation: float
    currency: str
    excess_liquidity: float | None = None
    """None where it is not known; then only shares of net liquidation limit the margin."""
    rates: Mapping[str, float] = field(default_factory=dict)
    """`currency` for one unit of others."""
    held: tuple[HeldRisk, ...] = ()

    def rate_of(self, currency: str) -> float | None:
        """`Capital.currency` for one unit of *currency*; None where it is not known."""
        major, count = major_currency(currency)
        rate = 1.0 if major == self.currency else self.rates.get(major)
        return None if rate is None else rate / count


def capital(
    account: AccountSettings, book: Book | None = None, review: BookReview | None = None
) -> Capital | None:
    """
    The capital of an account: as the settings say, else as the book does; None where neither does.

    Args:
        account: Whose ``net_liquidation`` goes before that of the book.
        book, review: The book with its review, for excess liquidity, rates and what is held. They
            count for nothing where the settings are in another currency than the book and it has
            no rate between them.
    """
    own = account.net_liquidation
    if book is None:
        return None if own is None else Capital(own, account.currency)
    net = book.net_liquidation
    if own is not None:
        rate = book.rate_of(account.currency)
        if rate is None:
            return Capital(own, account.currency)
        net = own * rate
    if net is None:
        return None
    return Capital(
        net_liquidation=net,
        currency=book.currency,
        excess_liquidity=_excess(book),
        rates=book.rates,
        held=tuple(map(_held, review.structures)) if review else (),
    )


def _excess(book: Book) -> float | None:
    """Excess liquidity of all accounts, base currency; None where one of them is unknown."""
    parts = []
    for account in book.accounts:
        rate = book.rate_of(account.currency)
        if account.excess_liquidity is None or rate is None:
            return None
        parts.append(account.excess_liquidity * rate)
    return math.fsum(parts) if parts else None


def _held(structure: Structure) -> HeldRisk:
    bounds = (structure.max_loss, structure.margin_net)
    known = [risk for risk in bounds if risk is not None and math.isfinite(risk)]
    risk = max(min(known), 0.0) if known else math.inf
    return HeldRisk(structure.symbol, _side(structure), risk)


def _side(structure: Structure) -> Side:
    """As its strategy has it; where that can be mirrored, or is none of ours, as its delta is."""
    template = CATALOGUE.get(structure.strategy)
    if template is not None and not template.both_sides:
        return template.side
    delta = structure.greeks.delta
    return "bullish" if delta > 0.0 else "bearish" if delta < 0.0 else "neutral"


def sized(
    result: ScanResult,
    settings: Settings,
    given: Capital | None,
    correlations: Correlations | None = None,
) -> ScanResult:
    """*result* with the size of every proposal, each as if it alone were added to what is held."""
    if not result.proposals:
        return result
    if given is None:
        return result.model_copy(update={"notes": (*result.notes, UNKNOWN)})
    pairs = {} if correlations is None else correlations
    proposals = tuple(with_size(proposal, settings, given, pairs) for proposal in result.proposals)
    return result.model_copy(update={"proposals": proposals})


def with_size(
    proposal: Proposal, settings: Settings, given: Capital, correlations: Correlations
) -> Proposal:
    """The proposal with its size; without one, and a note, where its currency has no rate."""
    rate = given.rate_of(proposal.currency)
    if rate is None:
        note = (
            f"no rate from {proposal.currency} to {given.currency}, so no number of contracts: "
            "tomic portfolio saves the broker's"
        )
        return proposal.model_copy(update={"notes": (*proposal.notes, note)})
    update = {"size": size(proposal, settings, given, rate, correlations)}
    return proposal.model_copy(update=update)


def size(
    proposal: Proposal, settings: Settings, given: Capital, rate: float, correlations: Correlations
) -> TradeSize:
    """
    How many structures of a proposal an account can carry.

    Args:
        rate: Currency of the account for one unit of the proposal's.
        correlations: Return correlation of pairs of symbols; unknown pairs are not in a cluster.

    Returns:
        0 contracts where one structure is too many, with the limit that decided.
    """
    account, net = settings.account, given.net_liquidation
    risk, margin = proposal.cvar95 * rate, proposal.margin * rate
    cluster = _cluster(proposal, given.held, settings.scan.max_correlation, correlations)
    room = account.risk_per_cluster * net - math.fsum(item.risk for item in cluster)
    share = account.max_margin_per_trade * net
    free = share if given.excess_liquidity is None else min(share, given.excess_liquidity)
    limits = {
        f"risk: CVaR95 of {risk:,.0f} each within {account.risk_per_trade:.1%} of {net:,.0f} "
        f"{given.currency}": _whole(account.risk_per_trade * net, risk),
        _margin_words(margin, free, share, account, given): _whole(free, margin),
        _cluster_words(cluster, account, net): _whole(room, risk),
    }
    by_risk, by_margin, by_cluster = limits.values()
    least = min((count for count in limits.values() if count is not None), default=0)
    decided = next((words for words, count in limits.items() if count == least), "")
    excess = given.excess_liquidity
    return TradeSize(
        contracts=least,
        by_risk=by_risk,
        by_margin=by_margin,
        by_cluster=by_cluster,
        buying_power_after=None if excess is None else excess - least * margin,
        kelly=_kelly(proposal, net, margin),
        limited_by=decided or "nothing to limit it by: it neither loses nor takes margin",
    )


def _whole(room: float, each: float) -> int | None:
    """How often *each* fits into *room*; None where it takes nothing."""
    if not each > 0.0:
        return None
    # Rounding must not lose a contract that fits exactly.
    return max(0, math.floor(room / each + 1e-9)) if math.isfinite(each) else 0


def _cluster(
    proposal: Proposal, held: Sequence[HeldRisk], least: float, correlations: Correlations
) -> list[HeldRisk]:
    """What is held on the side of the proposal in symbols that move with its own."""
    return [
        item
        for item in held
        if item.side == proposal.side
        and (
            item.symbol == proposal.symbol
            or correlations.get(frozenset((item.symbol, proposal.symbol)), 0.0) > least
        )
    ]


def _margin_words(
    margin: float, free: float, share: float, account: AccountSettings, given: Capital
) -> str:
    if free < share:
        return f"margin: {margin:,.0f} each of {free:,.0f} {given.currency} excess liquidity"
    return (
        f"margin: {margin:,.0f} each within {account.max_margin_per_trade:.0%} of "
        f"{given.net_liquidation:,.0f} {given.currency}"
    )


def _cluster_words(cluster: Sequence[HeldRisk], account: AccountSettings, net: float) -> str:
    symbols = ", ".join(sorted({item.symbol for item in cluster})) or "nothing alike"
    risk = math.fsum(item.risk for item in cluster)
    return (
        f"cluster: {symbols} held with {risk:,.0f} at risk on this side, of "
        f"{account.risk_per_cluster:.0%} of {net:,.0f}"
    )


def _kelly(proposal: Proposal, net: float, margin: float) -> int | None:
    """Contracts by Kelly at the lower bound of EV; None where that is unknown or not positive."""
    if proposal.ev_error is None or proposal.kelly is None or not proposal.ev > 0.0:
        return None
    lower = proposal.ev - LOWER * proposal.ev_error
    if not (lower > 0.0 and margin > 0.0):
        return None
    return _whole(proposal.kelly * lower / proposal.ev * net, margin)
