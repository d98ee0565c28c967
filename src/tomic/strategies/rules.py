"""What is refused, and why, in numbers: gates on a symbol, rules on legs and on whole trades."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from tomic._typing import BoolArray, FloatArray, IntArray
from tomic.config import Settings
from tomic.models import NearestMiss, Refusal, RuleCount, Side, Underlying, VolSnapshot
from tomic.models.documents import UNLIMITED
from tomic.strategies.candidates import Expiries
from tomic.strategies.catalogue import templates
from tomic.strategies.catalogue.leg_rules import Template, days_to_earnings
from tomic.strategies.measures import Batch, Measures
from tomic.strategies.pricing.board import Board

Kind = Literal["rule", "no_data"]


class GateResult(NamedTuple):
    """Whether a strategy may be searched for a symbol at all."""

    passed: bool
    reasons: tuple[Refusal, ...]
    """Every gate that refused it."""
    unknown: tuple[str, ...]
    """Notes on gates whose figure is unknown: they do not refuse."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the search: its code, what kind of refusal it is, and how it reads."""

    name: str
    kind: Kind
    text: str
    """With {observed} and {limit}."""
    limit: float

    def message(self, observed: float) -> str:
        """The refusal in words."""
        return self.text.format(observed=_Worded(observed), limit=self.limit)


class _Worded(float):
    """A number that is a word where it has no bound."""

    def __format__(self, form: str) -> str:
        if math.isinf(self):
            return UNLIMITED if self > 0.0 else f"-{UNLIMITED}"
        return super().__format__(form)


class Dated(Protocol):
    """What rules ask of the outlook of an expiry."""

    @property
    def dte(self) -> int:
        """Calendar days to it."""


class Judged(Protocol):
    """What rules on whole trades ask of a board: a `Board`, or what a backtest has for it."""

    @property
    def settings(self) -> Settings:
        """Of the rules."""

    @property
    def vol(self) -> VolSnapshot:
        """Of its symbol."""

    @property
    def outlooks(self) -> Mapping[dt.date, Dated]:
        """By expiry."""


class RuleVerdict(NamedTuple):
    """One rule over a batch, (n,) each."""

    rule: Rule
    observed: FloatArray
    miss: FloatArray
    """How far off as a share of the limit, above 0 where refused; inf where it is not known."""


def no_shares(template: Template, symbol: str) -> Refusal | None:
    """Why a strategy that holds shares cannot be had on an index; None for one without shares."""
    if not template.stock:
        return None
    return Refusal(
        rule="settled_in_cash",
        kind="rule",
        symbol=symbol,
        strategy=template.name,
        message=f"{template.name}: there are no shares of {symbol}; its options settle in cash",
    )


_EARNINGS_UNKNOWN = "earnings unknown"


def of_interest(unknown: Iterable[str], underlying: Underlying) -> tuple[str, ...]:
    """What a gate did not know, without the earnings of what reports none: a fund, an index."""
    has_none = underlying.reports_earnings is False
    return tuple(text for text in unknown if not (has_none and text == _EARNINGS_UNKNOWN))


def gate(template: Template, vol: VolSnapshot, settings: Settings | None = None) -> GateResult:
    """
    Judge a strategy by the symbol's volatility alone, before any chain is asked for.

    An unknown figure does not refuse a strategy; it is reported. A cash account refuses undefined
    risk, and also naked puts: there they are a `cash_secured_put`.
    """
    settings = settings or Settings()
    reasons, unknown = [], []
    refused = partial(Refusal, kind="rule", symbol=vol.symbol, strategy=template.name)
    for condition in template.conditions:
        value, name = condition.observed(vol), condition.name
        if value is None:
            unknown.append(f"{_SPOKEN.get(name, name)} unknown")
        elif not condition.holds(value):
            text = f"{name} {value:.3g} does not satisfy {condition}"
            reasons.append(
                refused(rule=f"gate:{name}", observed=value, limit=condition.limit, message=text)
            )
    least, days = settings.scan.min_days_to_earnings, days_to_earnings(vol)
    if days is not None and days < least:
        text = f"earnings in {days:.0f} days, fewer than {least}"
        reasons.append(
            refused(rule="min_days_to_earnings", observed=days, limit=float(least), message=text)
        )
    if vol.next_earnings is None and (least > 0 or settings.scan.expire_before_earnings):
        unknown.append(_EARNINGS_UNKNOWN)
    if settings.scan.keep_to_exits and (refusal := _closed_at_once(template, days, settings)):
        reasons.append(refused(**refusal))
    if settings.account.margin == "cash" and (text := _not_in_cash(template)):
        reasons.append(refused(rule="undefined_risk", message=text))
    return GateResult(not reasons, tuple(reasons), tuple(dict.fromkeys(unknown)))


def _closed_at_once(
    template: Template, days_to_earnings: float | None, settings: Settings
) -> dict[str, Any] | None:
    """Why the exit rules would close every trade of the strategy on the day it is opened."""
    exits, (low, high) = settings.journal.exits_for(template.name), template.dte
    if exits.min_dte is not None and exits.min_dte >= high:
        text = f"its {low} to {high} days end before its exit rule closes it at {exits.min_dte}"
        return {"rule": "exit_min_dte", "limit": float(exits.min_dte), "message": text}
    near = exits.earnings_days
    if near is not None and days_to_earnings is not None and days_to_earnings <= near:
        text = f"earnings in {days_to_earnings:.0f} days: its exit rule closes it at {near}"
        return {
            "rule": "exit_earnings_days",
            "observed": days_to_earnings,
            "limit": float(near),
            "message": text,
        }
    return None


_SPOKEN = {
    "iv_rank": "IV rank", "iv_percentile": "IV percentile", "days_to_earnings": "earnings",
}  # fmt: skip


def _not_in_cash(template: Template) -> str:
    """Why a cash account cannot hold the strategy; empty where it can."""
    if template.undefined_risk:
        return "undefined risk cannot be held in a cash account"
    if template.naked_put and not template.cash_secured and len(template.legs) == 1:
        return "a naked put needs a margin account; in a cash account it is a cash_secured_put"
    return ""


def judge_rows(board: Board) -> tuple[RuleVerdict, ...]:
    """Leg rules over all rows of the chain, in the order refusals are counted; NaN figures pass."""
    scan, chain = board.settings.scan, board.chain
    price, source = board.price, board.prices.source
    nothing = np.where(np.isnan(price), np.inf, -np.inf)
    verdicts = [
        RuleVerdict(Rule("no_price", "no_data", "no price on any rung", np.nan), price, nothing)
    ]
    if scan.true_quotes_only:
        rule = Rule("true_quotes", "rule", "priced on something else than bid and ask", 0.0)
        verdicts.append(
            RuleVerdict(rule, source.astype(float), np.where(source > 0, np.inf, -np.inf))
        )
    spread = np.where(
        (chain["bid"] >= 0.0) & (chain["ask"] >= chain["bid"]), chain["ask"] - chain["bid"], np.nan
    )
    accepted = np.maximum(scan.max_spread * price, scan.max_spread_points)
    rule = Rule("spread", "rule", "spread {observed:.2f} of what is accepted", 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = spread / accepted
    verdicts.append(RuleVerdict(rule, share, share - 1.0))
    for name, limit in (("volume", scan.min_volume), ("open_interest", scan.min_open_interest)):
        text = f"{name.replace('_', ' ')} {{observed:.0f}} < {{limit:.0f}}"
        rule = Rule(name, "rule", text, float(limit))
        verdicts.append(RuleVerdict(rule, chain[name], (limit - chain[name]) / max(limit, 1)))
    # A figure that is unknown passes and is flagged; it never stands in for a number.
    return tuple(v._replace(miss=np.where(np.isnan(v.miss), -np.inf, v.miss)) for v in verdicts)


def judge_legs(batch: Batch, rows: Sequence[RuleVerdict]) -> tuple[RuleVerdict, ...]:
    """Leg rules over a batch: the figure and the miss of the worst leg."""
    result = []
    for verdict in rows:
        miss = batch.legs(verdict.miss, unused=-np.inf)
        worst = miss.argmax(axis=1)[:, None]
        observed = np.take_along_axis(batch.legs(verdict.observed), worst, axis=1)[:, 0]
        result.append(
            RuleVerdict(verdict.rule, observed, np.take_along_axis(miss, worst, axis=1)[:, 0])
        )
    return tuple(result)


def judge(batch: Batch, measures: Measures, board: Judged) -> tuple[RuleVerdict, ...]:
    """Rules on whole trades, in the order in which refusals are counted."""
    scan = board.settings.scan
    first = board.outlooks[batch.expiries[0]]
    wants_credit, no_upside = (
        np.array([getattr(member.template, name) for member in batch.members])[batch.group]
        for name in ("credit_required", "no_upside_loss")
    )
    credit, net = measures.credit, measures.margin
    figures = measures.ev + measures.pos + measures.profit + net
    unbounded = np.isinf(measures.max_loss) | np.isinf(measures.requirement)
    per_30 = 30.0 / max(first.dte, 1)
    broken = np.isnan(figures)
    verdicts = [
        RuleVerdict(
            Rule("no_figures", "no_data", "a figure that is needed is missing", np.nan),
            figures,
            np.where(broken, np.inf, -np.inf),
        ),
        _least(
            "positive_credit",
            "credit after commission {observed:.2f} is not positive",
            credit,
            0.0,
            wants_credit,
        ),
        _least("cannot_win", "largest profit {observed:.2f} is not positive", measures.profit, 0.0),
        _least("no_margin", "margin {observed:.2f} is not positive: quotes disagree", net, 0.0),
    ]
    if no_upside.any():
        text = "P&L {observed:.2f} when the underlying rises"
        verdicts.append(_least("upside_loss", text, measures.upside, 0.0, no_upside, strict=False))
    if board.settings.account.margin == "cash":
        rule = Rule("undefined_risk", "rule", "undefined risk in a cash account", np.nan)
        miss = np.where(unbounded, np.inf, -np.inf)
        verdicts.append(RuleVerdict(rule, measures.max_loss, miss))
    if scan.expire_before_earnings and board.vol.next_earnings is not None:
        verdicts.append(_before_earnings(batch, board.vol.next_earnings))
    verdicts += _beyond_exit(batch, board)
    verdicts += _sellers(batch, measures, board)
    with np.errstate(divide="ignore", invalid="ignore"):
        rom = per_30 * measures.profit / net
    for name, text, observed, limit, where in (
        (
            "min_credit",
            "credit {observed:.2f} < {limit:.2f}",
            credit + measures.commission,
            scan.min_credit,
            wants_credit,
        ),
        ("min_rom", "ROM per 30 days {observed:.1%} < {limit:.1%}", rom, scan.min_rom, None),
        ("min_pos", "PoS {observed:.1%} < {limit:.1%}", measures.pos, scan.min_pos, None),
        ("min_ev", "EV {observed:.2f} < {limit:.2f}", measures.ev, scan.min_ev, None),
    ):
        if limit is not None:
            verdicts.append(_least(name, text, observed, limit, where, strict=False))
    if scan.max_loss is not None:
        rule = Rule("max_loss", "rule", "loss {observed:.2f} > {limit:.2f}", scan.max_loss)
        over = (measures.max_loss - scan.max_loss) / max(scan.max_loss, 1.0)
        verdicts.append(RuleVerdict(rule, measures.max_loss, over))
    # What is missing is refused once, as missing, and by no rule on its value.
    return tuple(
        v if v.rule.name == "no_figures" else v._replace(miss=np.where(broken, -np.inf, v.miss))
        for v in verdicts
    )


def closes_at_once(template: Template, board: Board, pair: Expiries) -> bool:
    """Whether ``journal check`` would close the strategy at these expiries on the day of entry."""
    limit = templates.exit_days(template, board.settings)
    return limit is not None and board.outlooks[pair[0]].dte <= limit


def _beyond_exit(batch: Batch, board: Judged) -> list[RuleVerdict]:
    """What ``journal check`` would close for its ``min_dte`` on the day of entry, by limit."""
    dte = float(board.outlooks[batch.expiries[0]].dte)
    limits = [templates.exit_days(member.template, board.settings) for member in batch.members]
    verdicts = []
    for limit in sorted({limit for limit in limits if limit is not None and dte <= limit}):
        text = "{observed:.0f} days to expiry: its exit rule closes it at {limit:.0f}"
        rule = Rule("exit_min_dte", "rule", text, float(limit))
        late = np.array([own == limit for own in limits])[batch.group]
        over = (limit - dte + 1.0) / (limit + 1.0)
        miss = np.where(late, over, -np.inf)
        verdicts.append(RuleVerdict(rule, np.full(len(batch), dte), miss))
    return verdicts


def _sellers(batch: Batch, measures: Measures, board: Judged) -> list[RuleVerdict]:
    """What a seller would not sign: too little credit for the risk or the costs."""
    scan, members = board.settings.scan, batch.members
    paid, wide = (
        np.array([getattr(member.template, name) for member in members])[batch.group]
        for name in ("receives_credit", "has_width")
    )
    mid, credit = measures.credit_mid, measures.credit + measures.commission
    costs = mid - measures.credit
    with np.errstate(divide="ignore", invalid="ignore"):
        # A loss that is nothing has no width left to pay for.
        of_width = credit / (measures.max_loss + measures.credit)
        fees = np.where(measures.commission > 0.0, credit / measures.commission, np.inf)
        of_profit = costs / np.maximum(measures.max_profit + costs, 0.0)
        of_credit = 2.0 * (mid - measures.credit_natural) / np.maximum(mid, 0.0)
    at_least = partial(_least, strict=False)
    given = (
        (at_least, "min_credit_share", "credit {observed:.1%} of the width < {limit:.1%}",
         of_width, scan.min_credit_share, paid & wide),
        (at_least, "min_credit_commissions", "credit {observed:.1f} commissions < {limit:.1f}",
         fees, scan.min_credit_commissions, paid & ~wide),
        (_most, "max_cost_share", "costs {observed:.1%} of the maximum profit > {limit:.1%}",
         of_profit, scan.max_cost_share, None),
        (_most, "max_spread_share", "bid-ask spread {observed:.1%} of the credit > {limit:.1%}",
         of_credit, scan.max_spread_share, paid),
    )  # fmt: skip
    verdicts = [
        rule(name, text, observed, limit, where)
        for rule, name, text, observed, limit, where in given
        if limit is not None
    ]
    if scan.natural_sign:
        text = "credit at mid, but {observed:.2f} at natural prices"
        verdicts.append(
            _least("natural_sign", text, measures.credit_natural, 0.0, np.asarray(mid > 0.0))
        )
    return verdicts


def risk_reward(profit: FloatArray, tail_loss: FloatArray, least: float) -> RuleVerdict:
    """The rule on profit per CVaR95, separate because CVaR is expensive."""
    with np.errstate(divide="ignore"):
        observed = profit / tail_loss
    return _least(
        "min_risk_reward", "risk-reward {observed:.2f} < {limit:.2f}", observed, least, strict=False
    )


def original(ev: FloatArray, score: FloatArray) -> RuleVerdict:
    """What the original program's score refuses: a negative EV, or a loss that it cannot bound."""
    text = "the original refuses it: its EV is {observed:.2f}, or its loss unbounded"
    rule = Rule("original_score", "rule", text, 0.0)
    miss = np.where(np.isnan(score), np.where(ev < 0.0, -ev, np.inf), -np.inf)
    return RuleVerdict(rule, ev, miss)


def _least(
    name: str,
    text: str,
    observed: FloatArray,
    limit: float,
    where: BoolArray | None = None,
    *,
    strict: bool = True,
) -> RuleVerdict:
    """Refuse what is below *limit*; with *strict* also what equals it."""
    below = (limit - observed) / (abs(limit) if limit else 1.0)
    if strict:
        # A trade exactly at the limit is off by nothing and refused all the same.
        below = np.where(below == 0.0, np.finfo(float).tiny, below)
    if where is not None:
        below = np.where(where, below, -np.inf)
    return RuleVerdict(Rule(name, "rule", text, limit), observed, below)


def _most(
    name: str, text: str, observed: FloatArray, limit: float, where: BoolArray | None = None
) -> RuleVerdict:
    """Refuse what is above *limit*."""
    above = (observed - limit) / (limit or 1.0)
    if where is not None:
        above = np.where(where, above, -np.inf)
    return RuleVerdict(Rule(name, "rule", text, limit), observed, above)


def _before_earnings(batch: Batch, earnings: dt.date) -> RuleVerdict:
    last = batch.expiries[1] or batch.expiries[0]
    over = float((last - earnings).days)
    rule = Rule("expire_before_earnings", "rule", "expires {observed:.0f} days after earnings", 0.0)
    return RuleVerdict(rule, np.full(len(batch), over), np.full(len(batch), over))


def first_failures(verdicts: Iterable[RuleVerdict], count: int) -> tuple[IntArray, IntArray]:
    """Place of the first rule each row fails (-1: none), and how many it fails; (n,) each."""
    first = np.full(count, -1)
    fails = np.zeros(count, dtype=np.int64)
    for place, verdict in enumerate(verdicts):
        failed = verdict.miss > 0.0
        first = np.where(failed & (first < 0), place, first)
        fails += failed
    return first, fails


class CandidateGroup(NamedTuple):
    """What candidates are counted by."""

    strategy: str
    side: Side
    expiry: dt.date
    """The first."""


@dataclass(slots=True)
class Near:
    """The candidate that came nearest to passing a rule."""

    others: int
    """Other rules that it fails."""
    distance: float
    observed: float
    rule: Rule
    template: Template
    rows: tuple[int, ...]


@dataclass(slots=True)
class Tally:
    """How many candidates were considered, and which rules refused the others."""

    considered: int = 0
    passed: Counter[CandidateGroup] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    rules: dict[str, Rule] = field(default_factory=dict)
    nearest: dict[str, Near] = field(default_factory=dict)
    standings: dict[str, IntArray] = field(default_factory=dict)
    """Strategy to how many of those that passed score what; see `scoring.counted`."""

    def rank(self, strategy: str, counts: IntArray) -> None:
        """Add scores of candidates that passed."""
        self.standings[strategy] = self.standings.get(strategy, 0) + counts

    def note(self, batch: Batch, verdicts: Sequence[RuleVerdict]) -> BoolArray:
        """Count the refusals of a batch; returns which rows fail nothing."""
        first, fails = first_failures(verdicts, len(batch))
        counts = np.bincount(first + 1, minlength=len(verdicts) + 1)[1:]
        for place, verdict in enumerate(verdicts):
            self.count(verdict.rule, int(counts[place]))
            self._approach(batch, verdict, fails)
        return np.asarray(fails == 0, dtype=np.bool_)

    def count(self, rule: Rule, refused: int) -> None:
        """Add to the refusals of a rule."""
        self.rules.setdefault(rule.name, rule)
        self.refused[rule.name] += refused

    def approach(self, batch: Batch, verdicts: Sequence[RuleVerdict]) -> None:
        """Look for nearest misses in a batch that is counted elsewhere."""
        _, fails = first_failures(verdicts, len(batch))
        for verdict in verdicts:
            self._approach(batch, verdict, fails)

    def _approach(self, batch: Batch, verdict: RuleVerdict, fails: IntArray) -> None:
        failed = np.flatnonzero((verdict.miss > 0.0) & np.isfinite(verdict.miss))
        if failed.size == 0:
            return
        best = failed[np.lexsort((verdict.miss[failed], fails[failed]))[0]]
        others, distance = int(fails[best]) - 1, float(verdict.miss[best])
        nearest = self.nearest.get(verdict.rule.name)
        if nearest is None or (others, distance) < (nearest.others, nearest.distance):
            self.nearest[verdict.rule.name] = Near(
                others,
                distance,
                float(verdict.observed[best]),
                verdict.rule,
                *batch.trade(int(best)),
            )

    def counts(self) -> tuple[RuleCount, ...]:
        """Rules that refused something, most first."""
        order = sorted(self.refused, key=lambda name: (-self.refused[name], name))
        return tuple(
            RuleCount(rule=name, kind=self.rules[name].kind, count=self.refused[name])
            for name in order
            if self.refused[name]
        )


def near_misses(tally: Tally, board: Board) -> tuple[NearestMiss, ...]:
    """The nearest misses as models, in the order of their rules' names."""
    return tuple(
        NearestMiss(
            **refusal(near.rule, near.observed, board, near.template, near.rows).model_dump(),
            distance=near.distance,
            only_rule=near.others == 0,
        )
        for _, near in sorted(tally.nearest.items())
    )


def refusal(
    rule: Rule, observed: float, board: Board, template: Template, rows: Sequence[int]
) -> Refusal:
    """One rule's refusal of one trade."""
    return Refusal(
        rule=rule.name,
        kind=rule.kind,
        symbol=board.chain.symbol,
        strategy=template.name,
        trade=trade_text(board, template, rows),
        observed=None if math.isnan(observed) or observed == -math.inf else observed,
        limit=rule.limit if math.isfinite(rule.limit) else None,
        message=rule.message(observed),
    )


def trade_text(board: Board, template: Template, rows: Sequence[int]) -> str:
    """A trade in a line: strategy, strikes in the order of its legs, expiries."""
    chain = board.chain
    strikes = "/".join(
        f"{chain['strike'][row]:g}{leg.right}" for row, leg in zip(rows, template.legs, strict=True)
    )
    days = "/".join(sorted({str(chain["expiry"][row]) for row in rows}))
    return f"{template.name} {strikes} {days}"
