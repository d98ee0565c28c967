"""What became of one given trade: every gate and rule it fails, and its figures."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from tomic.chain import Chain
from tomic.config import Settings
from tomic.errors import UsageError
from tomic.models import Proposal, Refusal, TradeReview, VolSnapshot
from tomic.strategies import candidates, managed, measures, proposals, rules, scoring, search
from tomic.strategies.candidates import EDGE, Candidates, Expiries
from tomic.strategies.catalogue import templates
from tomic.strategies.catalogue.leg_rules import SameStrike, Template
from tomic.strategies.measures import Batch
from tomic.strategies.pricing import board as boards
from tomic.strategies.pricing.board import Board
from tomic.strategies.rules import refusal, trade_text
from tomic.strategies.search import Contender, Hit

_STRIKE = re.compile(r"(\d+(?:\.\d+)?)([CP]?)", re.ASCII)


ALONE = "graded among the candidates of this chain alone"


class TypedTrade(NamedTuple):
    """A trade as the user wrote it."""

    strategy: str
    strikes: tuple[tuple[float, str], ...]
    """Strike and right, '' where none was given."""
    expiries: tuple[dt.date, ...]


def parse_trade(text: str) -> TypedTrade:
    """
    Read ``short_put_spread 560/550 2025-06-20``: strategy, strikes by leg, expiry.

    Strikes stand in the order of the strategy's legs; a leg at the strike of another may be left
    out. A right may follow (``560P``). Two expiries are written ``2025-06-20/2025-07-18``; days
    may be written ``20250620`` as well.

    Raises:
        UsageError: Anything else.
    """
    words = text.split()
    if len(words) != 3:
        raise _unreadable(text)
    strikes = [_STRIKE.fullmatch(part.upper()) for part in words[1].split("/")]
    try:
        days = tuple(dt.date.fromisoformat(part) for part in words[2].split("/"))
    except ValueError as exc:
        raise _unreadable(text) from exc
    if not all(strikes) or not 1 <= len(days) <= 2:
        raise _unreadable(text)
    read = tuple((float(match[1]), match[2]) for match in strikes if match)
    return TypedTrade(words[0].lower(), read, days)


def _unreadable(text: str) -> UsageError:
    return UsageError(
        f"{text!r} is not a trade; write it as in 'short_put_spread 560/550 2025-06-20'"
    )


def explain_trade(
    chain: Chain, vol: VolSnapshot, trade: str, settings: Settings | None = None
) -> TradeReview:
    """
    Every gate and rule that refuses *trade*, and where it ranks among its peers.

    Raises:
        ConfigError: The strategy does not exist.
        UsageError: The text is not a trade, or not one of that strategy's legs; or *vol* belongs to
            another symbol.
    """
    settings = settings or Settings()
    boards.check_volatility(vol, chain)
    asked = parse_trade(trade)
    expiries = tuple(chain.named(day) or day for day in asked.expiries)
    asked = asked._replace(expiries=expiries)
    (template,) = templates.choose(settings, (asked.strategy,))
    gate = rules.gate(template, vol, settings)
    refusals = list(gate.reasons)
    if chain.underlying.settles_in_cash and (refusal := rules.no_shares(template, chain.symbol)):
        refusals.append(refusal)
    board = boards.prepare(chain, vol, settings)
    located = _locate(board, template, asked, trade)
    if isinstance(located, Refusal):
        return TradeReview(trade=trade, accepted=False, refusals=(*refusals, located))
    variant, pair, rows = located
    outside = _outside(board, variant, pair, rows)
    refusals += outside
    hit, failed = _judged(board, variant, pair, rows)
    refusals += failed
    counts = search.search(board, [template]).tally.standings.get(template.name) if hit else None

    def shown(one: Hit) -> Proposal:
        standing = None if counts is None else scoring.percentile(counts, one.score)
        notes = (*rules.of_interest(gate.unknown, chain.underlying), ALONE)
        described = proposals.describe(Contender(one), notes=notes, percentile=standing)
        return managed.with_outcomes([one], [described])[0]

    best, place = _among(board, template, pair, hit) if hit and not refusals else (None, None)
    other = best is not None and hit is not None and best.legs != hit.legs
    # The trade as the search scored it: sums over another number of rows differ by dust.
    judged = hit if other or best is None else best
    figures = shown(judged) if judged else None
    return TradeReview(
        trade=trade,
        accepted=not refusals,
        refusals=tuple(refusals),
        proposal=figures,
        place=place,
        better=shown(best) if best and other else None,
    )


def _locate(
    board: Board, template: Template, asked: TypedTrade, text: str
) -> tuple[Template, Expiries, tuple[int, ...]] | Refusal:
    """The variant, expiries and rows of the trade, or what is missing of it."""
    far = template.gap is not None
    if len(asked.expiries) != (2 if far else 1):
        wanted = "two expiries, near/far" if far else "one expiry"
        raise UsageError(f"{text!r}: {template.name} has {wanted}")
    missing = partial(
        Refusal,
        rule="not_in_chain",
        kind="no_data",
        symbol=board.chain.symbol,
        strategy=template.name,
        trade=text,
    )
    near = min(asked.expiries)
    pair: Expiries = (near, max(asked.expiries) if far else None)
    for day in asked.expiries:
        if day in board.blind:
            return missing(message=f"{day}: {board.blind[day]}")
        if day not in board.outlooks:
            listed = ", ".join(str(expiry) for expiry in board.chain.expiries)
            return missing(message=f"no options of {day}; the chain has {listed}")
    variant = _variant(template, asked)
    strikes = _by_leg(variant, asked, text)
    rows = []
    for leg in variant.legs:
        expiry = candidates.expiry_of(leg, pair)
        listed_rows = board.side(expiry, leg.right)
        place = np.flatnonzero(np.abs(board.strike[listed_rows] - strikes[leg.name]) <= EDGE)
        if place.size == 0:
            absent = f"no {strikes[leg.name]:g}{leg.right} of {expiry} in the chain"
            return missing(message=absent)
        rows.append(int(listed_rows[place[0]]))
    return variant, pair, tuple(rows)


def _variant(template: Template, asked: TypedTrade) -> Template:
    """The one of calls and puts that the written rights fit; the first when none are written."""
    for variant in template.variants:
        rights = {leg.right for leg in variant.legs}
        if all(right == "" or right in rights for _, right in asked.strikes):
            return variant
    return template


def _by_leg(variant: Template, asked: TypedTrade, text: str) -> dict[str, float]:
    """Strike of every leg; a leg tied to another's strike takes it when it was left out."""
    given = [strike for strike, _ in asked.strikes]
    free = [leg for leg in variant.legs if not isinstance(leg.pick, SameStrike)]
    legs = list(variant.legs) if len(given) == len(variant.legs) else free
    if len(given) != len(legs):
        names = "/".join(leg.name for leg in legs)
        raise UsageError(f"{text!r}: {variant.name} needs {len(legs)} strikes, {names}")
    strikes = dict(zip((leg.name for leg in legs), given, strict=True))
    for leg in variant.legs:
        if isinstance(leg.pick, SameStrike):
            strikes.setdefault(leg.name, strikes[leg.pick.leg])
    return strikes


def _outside(board: Board, variant: Template, pair: Expiries, rows: Sequence[int]) -> list[Refusal]:
    """Parts of the template itself that the trade does not satisfy: days, then strikes."""
    refusals = []
    dte = board.outlooks[pair[0]].dte
    refused = partial(
        Refusal,
        kind="rule",
        symbol=board.chain.symbol,
        strategy=variant.name,
        trade=trade_text(board, variant, rows),
    )
    low, high = variant.dte
    if not candidates.within(variant.dte, dte):
        text = f"{dte} days to expiry, outside {low} to {high}"
        refusals.append(refused(rule="dte", observed=dte, message=text))
    if variant.gap is not None and pair[1] is not None:
        gap = board.outlooks[pair[1]].dte - dte
        if not candidates.within(variant.gap, gap):
            low, high = variant.gap
            text = f"{gap} days between, outside {low} to {high}"
            refusals.append(refused(rule="gap", observed=gap, message=text))
    # The built legs are all that the template allows; the words say which leg is at fault.
    built = candidates.build(variant, board, pair).row
    if not (built == np.array(rows)).all(axis=1).any():
        refusals.append(refused(rule="template", message=_fault(board, variant, rows)))
    return refusals


def _fault(board: Board, variant: Template, rows: Sequence[int]) -> str:
    texts = [
        f"{leg.name} {board.strike[row]:g}{leg.right} (delta {board.delta[row]:.2f}): "
        f"{templates.strike_text(leg.pick)}"
        for row, leg in zip(rows, variant.legs, strict=True)
    ]
    sigma = board.outlooks[board.chain["expiry"][rows[0]].item()].sigma_points
    return f"not as the template wants it: {'; '.join(texts)}; one sigma is {sigma:.2f}"


def _judged(
    board: Board, variant: Template, pair: Expiries, rows: Sequence[int]
) -> tuple[Hit | None, list[Refusal]]:
    """The trade as a hit, if it has figures, and every rule that it fails."""
    batch = Batch.of([Candidates(variant, pair, np.array([rows], dtype=np.int64))])
    verdicts = list(rules.judge_legs(batch, rules.judge_rows(board)))
    figures = measures.measure(batch, board)
    verdicts += rules.judge(batch, figures, board)
    below = np.stack((figures.loss_chance, figures.mean_loss))
    if not np.isfinite(figures.ev[0] + figures.margin[0]):
        return None, _refusals(board, variant, rows, verdicts)
    tail = measures.tail_loss(batch, board, figures.credit, below)
    least = board.settings.scan.min_risk_reward
    if least is not None:
        verdicts.append(rules.risk_reward(figures.profit, tail, least))
    if board.settings.score.definition == "original":
        scored = scoring.figures(batch, board)
        verdicts.append(rules.original(scored.ev, scoring.original_score(scored)))
    (hit,) = search.hits_of(batch, figures, board, np.array([0]), tail)
    return hit, _refusals(board, variant, rows, verdicts)


def _refusals(
    board: Board, variant: Template, rows: Sequence[int], verdicts: Sequence[rules.RuleVerdict]
) -> list[Refusal]:
    return [
        refusal(verdict.rule, float(verdict.observed[0]), board, variant, rows)
        for verdict in verdicts
        if verdict.miss[0] > 0.0
    ]


def _among(
    board: Board, template: Template, pair: Expiries, hit: Hit
) -> tuple[Hit | None, int | None]:
    """The best trade of the same strategy and first expiry, and the place of *hit* there."""
    dte = board.outlooks[pair[0]].dte
    peers = search.search(board, [replace(template, dte=(dte, dte))], keep=search.ALL).hits
    same = (n for n, peer in enumerate(peers, 1) if peer.rows == hit.rows and peer.legs == hit.legs)
    return (peers[0] if peers else None), next(same, None)
