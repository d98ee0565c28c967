"""What the scan would have shown on every day: its gates, its rules, its score, its walk."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tomic._typing import BoolArray, FloatArray, IntArray
from tomic.config import Settings
from tomic.errors import ConfigError
from tomic.evidence.candidates import Looked
from tomic.evidence.history import SurfaceHistory
from tomic.evidence.structures import StandardStructure
from tomic.models import VolSnapshot, settles_in_cash
from tomic.strategies import measures, propose, rules, scoring
from tomic.strategies.candidates import Candidates, Expiries
from tomic.strategies.catalogue.leg_rules import Template
from tomic.strategies.measures import Batch, Measures
from tomic.strategies.rules import CandidateGroup

CORRELATION_DAYS, LEAST_DAYS = 252, 60
"""Returns that a correlation is of, and fewer than which it is not known."""
_AT_ONCE = 50_000
"""Candidates that are judged together: what each rule says of them is in memory at once."""
_ANY_DAY = dt.date(2000, 1, 1)
"""What stands for the expiry where all have the same number of days."""


class Choice(NamedTuple):
    """What was decided, (m, s) each."""

    passed: BoolArray
    score: FloatArray
    rank: IntArray
    """Place of the chosen in the ranking of their day, from 1; 0 of the others."""
    refused: Counter[str]
    """Rule to how many it refused first."""


Score = Callable[[Looked, Settings], FloatArray]
"""How candidates are ranked, (m, s); higher is better."""


def choose(
    looked: Looked, structures: Sequence[StandardStructure], templates: Mapping[str, Template],
    settings: Settings, histories: Sequence[SurfaceHistory], *, score: Score | None = None,
) -> Choice:  # fmt: skip
    """
    The scan's own choice of every day.

    Args:
        looked: Days of all symbols.
        structures: Those of *looked*.
        templates: The strategy that each stands for, as it is searched, by structure.
        histories: Of all symbols, whose returns correlate.
        score: Another ranking than the scan's, to test it.

    Raises:
        ConfigError: The score of the original program, which a modelled smile cannot give.
    """
    chosen = [templates[structure.name] for structure in structures]
    passed, refused = _gated(looked, chosen, settings)
    passed = _judged(looked, structures, chosen, settings, passed, refused)
    points = (score or scored)(looked, settings)
    rank = np.zeros(points.shape, dtype=np.int64)
    together = Correlations.of(histories)
    for rows in _by_day(looked):
        seats = [
            _Seat(looked, chosen, row, place, float(points[row, place]))
            for row in rows.tolist()
            for place in np.flatnonzero(passed[row] & ~np.isnan(points[row])).tolist()
        ]
        shown = propose.walk(
            seats, settings.scan, top=settings.scan.top,
            symbols=len(set(looked.symbol[rows].tolist())),
            correlations=together.until(looked.day[rows[0]]),
        )  # fmt: skip
        for number, seat in enumerate(shown, 1):
            rank[seat.row, seat.place] = number
    return Choice(passed, points, rank, refused)


def scored(looked: Looked, settings: Settings) -> FloatArray:
    """The score of part 14 of every candidate, liquidity and fit taken as 1; (m, s)."""
    if settings.score.definition == "original":
        raise ConfigError(
            "score.definition original needs quotes of chains; a modelled smile has none",
            key="score.definition",
        )
    ev = looked.ranked_ev
    if settings.score.robust:
        ev = ev - measures.robust_cost(looked.slope)
    figures = scoring.ScoreFigures(
        pos=looked.ranked_pos.reshape(-1),
        ev=ev.reshape(-1),
        tail_loss=looked.tail.reshape(-1),
        liquidity=np.ones(ev.size),
    )
    return scoring.total(figures, settings.score).reshape(ev.shape)


# -- gates and rules -----------------------------------------------------------------------------


def _gated(
    looked: Looked, templates: Sequence[Template], settings: Settings
) -> tuple[BoolArray, Counter[str]]:
    """Which strategies a day's volatility lets through, (m, s), and what refused the others."""
    passed = np.zeros((looked.day.size, len(templates)), dtype=np.bool_)
    refused: Counter[str] = Counter()
    low_high = [template.dte for template in templates]
    days = settings.backtest.days
    in_window = np.array([low <= days <= high for low, high in low_high], dtype=np.bool_)
    if not in_window.all():
        refused["dte"] = int((~in_window).sum()) * looked.day.size
    fits = np.ones(passed.shape, dtype=np.bool_)
    in_gap, has_shares = _in_gap(looked, templates, days), _has_shares(looked, templates)
    for why, good in (("gap", in_gap), ("settled_in_cash", has_shares)):
        refused[why] += int((fits & ~good & in_window).sum())
        fits &= good
    for row, vol in enumerate(_snapshots(looked)):
        for place in np.flatnonzero(in_window & fits[row]).tolist():
            result = rules.gate(templates[place], vol, settings)
            passed[row, place] = result.passed
            if result.reasons:
                refused[result.reasons[0].rule] += 1
    return passed, refused


def _in_gap(looked: Looked, templates: Sequence[Template], days: int) -> BoolArray:
    """Where the second expiry of a day is as far behind the first as a strategy wants, (m, s)."""
    gap = looked.far_days - days
    fits = [
        np.ones(gap.size, dtype=np.bool_)
        if template.gap is None
        else (gap >= template.gap[0]) & (gap <= template.gap[1])
        for template in templates
    ]
    return np.stack(fits, axis=1)


def _has_shares(looked: Looked, templates: Sequence[Template]) -> BoolArray:
    """Where a strategy that holds shares can have them, (m, s); an index has none."""
    names = looked.symbol.tolist()
    in_cash = {name for name in set(names) if settles_in_cash(name)}
    is_index = np.array([name in in_cash for name in names], dtype=np.bool_)
    holds = np.array([bool(template.stock) for template in templates], dtype=np.bool_)
    return np.asarray(~(is_index[:, None] & holds))


def _snapshots(looked: Looked) -> Iterator[VolSnapshot]:
    """Of every day what gates ask about; None where it is not known."""
    columns = {
        "hv30": looked.hv30, "iv30": looked.iv30, "iv_rank": looked.iv_rank,
        "iv_percentile": looked.iv_percentile, "skew": looked.skew, "term_m1_m2": looked.term,
        "spot": looked.spot,
    }  # fmt: skip
    lists = {
        name: [None if np.isnan(value) else value for value in column.tolist()]
        for name, column in columns.items()
    }
    days, reports = looked.day.tolist(), looked.earnings.tolist()
    for row, symbol in enumerate(looked.symbol.tolist()):
        figures = {name: column[row] for name, column in lists.items()}
        # Checked when it was read; a snapshot a symbol and day is made by the hundred thousand.
        yield VolSnapshot.model_construct(
            symbol=symbol,
            as_of=dt.datetime.combine(days[row], dt.time(20), dt.UTC),
            next_earnings=reports[row],
            **figures,
        )


@dataclass(frozen=True, slots=True)
class _SameDays:
    """The expiry of all candidates, as rules see it."""

    dte: int


@dataclass(frozen=True, slots=True)
class _Modelled:
    """What rules ask of a board, where there is none."""

    settings: Settings
    vol: VolSnapshot
    outlooks: Mapping[dt.date, _SameDays]


def _judged(
    looked: Looked, structures: Sequence[StandardStructure], templates: Sequence[Template],
    settings: Settings, passed: BoolArray, refused: Counter[str],
) -> BoolArray:  # fmt: skip
    """*passed* without what the rules on whole trades refuse, which is counted in *refused*."""
    good = np.zeros(passed.size, dtype=np.bool_)
    every = np.flatnonzero(passed.reshape(-1))
    figures = _measured(looked, structures, settings)
    for rows in np.array_split(every, every.size // _AT_ONCE + 1):
        kept = figures.take(rows), looked.tail.reshape(-1)[rows], rows % len(structures)
        verdicts = _verdicts(*kept, templates, settings)
        first, fails = rules.first_failures(verdicts, rows.size)
        for place, verdict in enumerate(verdicts):
            refused[verdict.rule.name] += int((first == place).sum())
        good[rows] = fails == 0
    left = good.reshape(passed.shape)
    if settings.scan.expire_before_earnings:
        late = looked.earnings <= looked.day + settings.backtest.days
        refused["expire_before_earnings"] += int((left & late[:, None]).sum())
        left = left & ~late[:, None]
    return left


def _verdicts(
    figures: Measures, tail: FloatArray, kind: IntArray, templates: Sequence[Template],
    settings: Settings,
) -> list[rules.RuleVerdict]:  # fmt: skip
    """The rules on whole trades over some candidates, (n,), of *templates* by *kind*."""
    expiries: Expiries = (_ANY_DAY, None)
    nothing = np.zeros((0, 1), dtype=np.int64)
    members = [Candidates(template, expiries, nothing) for template in templates]
    blank = np.zeros((kind.size, 1))
    batch = Batch(
        members, expiries, kind, blank.astype(np.int64), blank, blank.astype(np.bool_),
        blank.astype(np.bool_), blank[:, 0],
    )  # fmt: skip
    board = _Modelled(
        settings,
        # Reports differ by row: those are judged apart.
        VolSnapshot.model_construct(symbol="", next_earnings=None),
        {_ANY_DAY: _SameDays(settings.backtest.days)},
    )
    verdicts = list(rules.judge(batch, figures, board))
    if settings.scan.min_risk_reward is not None:
        verdicts.append(rules.risk_reward(figures.profit, tail, settings.scan.min_risk_reward))
    return verdicts


def _measured(
    looked: Looked, structures: Sequence[StandardStructure], settings: Settings
) -> Measures:
    """Figures of every candidate as rules take them; what slips is taken for half of a spread."""
    flat = {name: getattr(looked, name).reshape(-1) for name in (
        "credit", "costs", "margin", "max_profit", "max_loss", "profit", "upside", "pos", "ev",
        "ranked_pos", "ranked_ev",
    )}  # fmt: skip
    contracts = [sum(abs(leg.quantity) for leg in structure.legs) for structure in structures]
    commission = np.tile(settings.costs.commission * np.array(contracts), looked.day.size)
    nothing = np.full(flat["credit"].size, np.nan)
    return Measures(
        credit=flat["credit"],
        credit_mid=flat["credit"] + flat["costs"],
        credit_natural=flat["credit"] + commission,
        commission=commission,
        max_profit=flat["max_profit"],
        max_loss=flat["max_loss"],
        loss_today=nothing,
        profit=flat["profit"],
        requirement=flat["margin"] + flat["credit"],
        margin=flat["margin"],
        pos=flat["pos"],
        ev=flat["ev"],
        ranked_pos=flat["ranked_pos"],
        ranked_ev=flat["ranked_ev"],
        loss_chance=nothing,
        mean_loss=nothing,
        upside=flat["upside"],
        liquidity=np.ones(nothing.size),
    )


# -- the walk ------------------------------------------------------------------------------------


class _Seat(NamedTuple):
    """One candidate in the walk down the ranking of its day."""

    looked: Looked
    templates: Sequence[Template]
    row: int
    place: int
    points: float

    @property
    def key(self) -> tuple[object, ...]:
        """Sorts best first, as `Hit.key` does."""
        ev, margin = (
            float(part[self.row, self.place]) for part in (self.looked.ev, self.looked.margin)
        )
        return (-self.points, -ev, margin, self.symbol, self.templates[self.place].name)

    @property
    def symbol(self) -> str:
        """Of the underlying."""
        return str(self.looked.symbol[self.row])

    @property
    def group(self) -> CandidateGroup:
        """All of a day expire on one day."""
        template = self.templates[self.place]
        return CandidateGroup(template.name, template.side, _ANY_DAY)

    def charged(self, penalty: float, other: str) -> _Seat:
        """It with what a correlation costs."""
        return self._replace(points=self.points * (1.0 - penalty))


def _by_day(looked: Looked) -> Iterator[IntArray]:
    """Rows of each day, day by day."""
    order = np.argsort(looked.day, kind="stable")
    edges = np.flatnonzero(np.diff(looked.day[order]).astype(np.int64)) + 1
    return (rows for rows in np.split(order, edges) if rows.size)


@dataclass(frozen=True, slots=True, eq=False)
class Correlations:
    """Returns of all symbols, from which correlations up to any day follow."""

    days: np.ndarray
    returns: dict[str, FloatArray]
    """Daily log-returns on each of *days*, splits undone; NaN where it was not traded."""

    @classmethod
    def of(cls, histories: Sequence[SurfaceHistory]) -> Correlations:
        """Of the closes of *histories*."""
        every = [history.day for history in histories]
        days = np.unique(np.concatenate(every)) if every else np.array([], "datetime64[D]")
        returns = {}
        for history in histories:
            level = np.full(days.size, np.nan)
            level[np.searchsorted(days, history.day)] = np.log(history.close * history.factor)
            returns[history.symbol] = np.diff(level, prepend=np.nan)
        return cls(days, returns)

    def until(self, day: np.datetime64) -> Mapping[frozenset[str], float]:
        """Correlations by pair, of what was known on the evening of *day*."""
        last = int(np.searchsorted(self.days, day, side="right"))
        return _Pairs(self, slice(max(last - CORRELATION_DAYS, 0), last))


class _Pairs(dict[frozenset[str], float]):
    """Correlations of pairs, each computed when it is asked for."""

    def __init__(self, table: Correlations, window: slice) -> None:
        super().__init__()
        self._table, self._window = table, window

    def get(self, pair: frozenset[str], default: float = 0.0) -> float:  # type: ignore[override]
        """The correlation of two symbols; *default* where it is not known."""
        if pair not in self:
            one, other = (self._table.returns[name][self._window] for name in pair)
            known = ~np.isnan(one + other)
            few = known.sum() <= LEAST_DAYS or not one[known].std() or not other[known].std()
            self[pair] = np.nan if few else float(np.corrcoef(one[known], other[known])[0, 1])
        value = self[pair]
        return default if np.isnan(value) else value
