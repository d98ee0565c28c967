"""
What is told to the trader, and when: each thing once, until it is over.

Pure: an observation says what is so and how far somebody looked; what was told before stands in the
store, and what is said is the difference.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, get_args

from tomic.models import BookReview, ScanResult
from tomic.models.journal import ExitCheck, Verdict
from tomic.models.notices import KeptNotice, Notice, NoticeKind, Observation
from tomic.models.review import Alert, Severity

KINDS: tuple[NoticeKind, ...] = get_args(NoticeKind)
_NOUNS: Mapping[NoticeKind, tuple[str, str]] = {
    "gateway": ("TWS unreachable", "TWS unreachable"),
    "job": ("failed step", "failed steps"),
    "assignment": ("assignment risk", "assignment risks"),
    "dividend": ("ex-dividend", "ex-dividends"),
    "exit": ("exit signal", "exit signals"),
    "alert": ("alert", "alerts"),
    "proposal": ("new proposal", "new proposals"),
}
_UNJUDGED = frozenset({Verdict.STALE, Verdict.UNJUDGED})
_ASSIGNMENT = "assignment_"
"""Beginning of the rules of alerts that say what an assignment risk says."""
_SHARE_OF_ROOM = 0.9
"""Of a service's limit: some write a text in a longer form than it was given."""
_CUT = " …"
MOST_KEPT = 2000
"""Notices that are remembered at once; a thousand positions have fewer."""


# -- what changed --------------------------------------------------------------------------


class Changes(NamedTuple):
    """What is to be said now, and everything that holds, said or not."""

    say: tuple[KeptNotice, ...]
    kept: tuple[KeptNotice, ...]

    def told(self, at: dt.datetime) -> tuple[KeptNotice, ...]:
        """What is kept once `say` was said."""
        said = {notice.key for notice in self.say}
        return tuple(
            notice.model_copy(update={"told": at}) if notice.key in said else notice
            for notice in self.kept
        )


def changed(
    kept: Sequence[KeptNotice],
    seen: Sequence[Observation],
    *,
    at: dt.datetime,
    quiet: bool = False,
    tell: Iterable[NoticeKind] = KINDS,
) -> Changes:
    """
    What is new since *kept*, and what of that is over.

    A notice is over where somebody looked and did not see it; if it comes back it is new. What was
    not looked at, or could not be judged, stays. While it is *quiet* nothing is said: what waits is
    said by the first call after that, unless it is over by then.

    Args:
        seen: What was looked at now; a later observation of a key wins.
        at: Now.
        tell: Kinds that are told; others are neither said nor kept.
    """
    wanted = frozenset(tell)
    now = {notice.key: notice for look in seen for notice in look.notices}
    known = {notice.key: notice for notice in kept}
    state: dict[str, KeptNotice] = {}
    for before in kept:
        if before.kind in wanted and (before.key in now or not _is_over(before.key, seen)):
            state[before.key] = before
    for key, notice in now.items():
        if notice.kind in wanted:
            old = known.get(key)
            state[key] = KeptNotice(
                **notice.model_dump(),
                since=old.since if old else at,
                told=old.told if old else None,
            )
    all_kept = tuple(state.values())[-MOST_KEPT:]
    waiting = () if quiet else tuple(notice for notice in all_kept if notice.told is None)
    return Changes(tuple(sorted(waiting, key=_urgency)), all_kept)


def _is_over(key: str, seen: Sequence[Observation]) -> bool:
    looked = any(key.startswith(look.covers) for look in seen if look.covers)
    return looked and not any(key.startswith(look.unknown) for look in seen if look.unknown)


def _urgency(notice: Notice) -> int:
    return KINDS.index(notice.kind)


def is_quiet(at: dt.datetime, window: str | None, zone: dt.tzinfo | None = None) -> bool:
    """
    Whether *at* lies in the quiet hours, by the clock on the wall.

    Args:
        window: ``22:00-07:00``, over midnight where it ends before it begins; None is never quiet.
        zone: Of the hours; None takes that of this computer.
    """
    if window is None:
        return False
    begins, ends = (dt.time.fromisoformat(part) for part in window.split("-"))
    now = at.astimezone(zone).time()
    return begins <= now < ends if begins < ends else now >= begins or now < ends


# -- in words ------------------------------------------------------------------------------


class Message(NamedTuple):
    """What one service is sent."""

    title: str
    body: str


def message(notices: Sequence[Notice], *, room: int | None = None, mark: str = "") -> Message:
    """
    Notices as one message: the most urgent first, each with the command that shows more.

    Args:
        room: Letters that the service takes, title apart; None for any number. What does not fit
            is counted, and a sentence that does not fit is cut between two words.
        mark: Behind the program's name, as for a demo.
    """
    counts = [
        f"{count} {_NOUNS[kind][count > 1]}"
        for kind in KINDS
        if (count := sum(notice.kind == kind for notice in notices))
    ]
    title = f"TOMIC{mark}: {', '.join(counts)}".replace("1 TWS", "TWS")
    lines = [_sentence(notice) for notice in sorted(notices, key=_urgency)]
    most = None if room is None else max(int(_SHARE_OF_ROOM * room), 1)
    return Message(title, _fitted(lines, most))


def _sentence(notice: Notice) -> str:
    return f"{notice.text} → {notice.more}" if notice.more else notice.text


def _fitted(lines: Sequence[str], most: int | None) -> str:
    whole = "\n".join(lines)
    if most is None or len(whole) <= most:
        return whole
    for count in range(len(lines) - 1, 0, -1):
        text = "\n".join([*lines[:count], f"and {len(lines) - count} more"])
        if len(text) <= most:
            return text
    more = f"\nand {len(lines) - 1} more" if len(lines) > 1 else ""
    return cut(lines[0], most - len(more)) + more


def cut(text: str, most: int) -> str:
    """*text* of at most *most* letters, cut between two words; within one that is too long."""
    if len(text) <= most:
        return text
    kept = text[: max(most - len(_CUT), 0) + 1]
    words = kept.rpartition(" ")[0] or kept[:-1]
    return (words + _CUT)[: max(most, 0)]


# -- what is so ----------------------------------------------------------------------------


def of_checks(checks: Sequence[ExitCheck], *, every: bool, failed: bool = False) -> Observation:
    """
    Exit signals of the journal.

    Args:
        every: Whether all open entries were looked at, so that what was closed is over.
        failed: Whether some could not be looked at.
    """
    known = [check for check in checks if check.entry_id is not None]
    doubtful = [check for check in known if check.verdict in _UNJUDGED]
    return Observation(
        notices=tuple(
            Notice(
                kind="exit",
                key=f"exit:{check.entry_id}:{signal.rule}",
                text=_joined(
                    f"{check.symbol} {check.strategy.replace('_', ' ')}".strip()
                    + f" (entry {check.entry_id}): {signal.text}",
                    signal.advice,
                ),
                more=f"tomic journal check {check.entry_id}",
            )
            for check in known
            for signal in check.signals
        ),
        covers=("exit:",) if every else tuple(f"exit:{check.entry_id}:" for check in known),
        unknown=("exit:",)
        if failed
        else (
            *(f"exit:{check.entry_id}:" for check in doubtful),
            *(f"exit:{check.entry_id}:{rule.rule}" for check in known for rule in check.unjudged),
        ),
    )


def of_book(review: BookReview, *, whole: bool) -> Observation:
    """
    Alerts of the book, options that may be assigned, and shares that go ex-dividend by tomorrow.

    Args:
        whole: Whether all that is held was quoted; else nothing is over.
    """
    today = review.as_of.date()
    soon = today + dt.timedelta(days=1)
    lasting = _lasting(review)
    accounts = {structure.id: structure.account for structure in review.structures}
    alerts = [
        Notice(
            kind="alert",
            key=f"alert:{alert.rule}:{lasting.get(alert.scope, alert.scope)}",
            text=_joined(_of_alert(alert), alert.advice),
            more="tomic portfolio",
        )
        for alert in review.alerts
        if alert.severity is not Severity.INFO and not alert.rule.startswith(_ASSIGNMENT)
    ]
    risks = [
        Notice(
            kind="assignment",
            key=f"assignment:{accounts.get(risk.structure, '')}:{risk.contract}:{risk.reason}",
            text=f"{risk.structure}: short {risk.contract}: {risk.message}; close or roll it",
            more="tomic portfolio --stress",
        )
        for risk in review.assignments
    ]
    dividends = [
        Notice(
            kind="dividend",
            key=f"dividend:{jump.symbol}:{jump.day}",
            text=_joined(
                f"{jump.symbol} goes ex-dividend on {jump.day:%d %b}, a drop of "
                f"{abs(jump.move):.2%}: {jump.down:+,.0f} {review.currency} for what is held",
                jump.note,
            ),
            more="tomic portfolio --stress",
        )
        for jump in review.jumps
        if jump.kind == "dividend" and today <= jump.day <= soon
    ]
    return Observation(
        notices=(*risks, *dividends, *alerts),
        covers=("alert:", "assignment:", "dividend:") if whole else (),
    )


def _lasting(review: BookReview) -> dict[str, str]:
    """Names of the structures, by `id`, that no other position shifts."""
    names: dict[str, str] = {}
    seen: Counter[str] = Counter()
    for structure in review.structures:
        seen[structure.contracts] += 1
        count = seen[structure.contracts]
        names[structure.id] = structure.contracts + (f" ({count})" if count > 1 else "")
    return names


def _of_alert(alert: Alert) -> str:
    scope = "" if alert.message.startswith(alert.scope) else f"{alert.scope}: "
    limit = f" ({alert.limit_text})" if alert.limit_text else ""
    return f"{scope}{alert.message}{limit}"


def of_scan(result: ScanResult) -> Observation:
    """Proposals of a scan; the same trade found again is no news."""
    partial = frozenset(result.partial)
    looked = [each.symbol for each in result.outcomes if each.symbol not in partial]
    return Observation(
        notices=tuple(
            Notice(
                kind="proposal",
                key=f"proposal:{each.symbol}:{each.trade}",
                text=f"{each.symbol} {each.trade.replace('_', ' ')}: score {each.score:.0f} "
                f"({each.grade.value}), {abs(each.credit):,.0f} "
                f"{'credit' if each.credit >= 0.0 else 'debit'}, PoS {each.pos:.0%}, "
                f"EV {each.ev:+,.0f}",
                more=f"tomic show {each.id}" if each.id else "",
            )
            for each in result.proposals
        ),
        covers=tuple(f"proposal:{symbol}:" for symbol in looked),
    )


def of_gateway(lost: str = "") -> Observation:
    """Whether TWS could be reached: *lost* is why not, empty where it could."""
    if not lost:
        return Observation(covers=("gateway",))
    text = f"TWS unreachable: {lost}"
    return Observation(
        notices=(Notice(kind="gateway", key="gateway", text=text, more="tomic doctor"),)
    )


class FailedStep(NamedTuple):
    """A step of a job that failed."""

    number: int
    command: str
    exit_code: int
    reason: str
    """What it said; empty where it said nothing."""
    lost: bool
    """Whether TWS could not be reached."""


def of_job(job: str, failed: Sequence[FailedStep], *, reached: bool) -> Observation:
    """
    Steps of a job that failed, and whether TWS could be reached.

    Args:
        reached: Whether TWS answered at any time.
    """
    lost = [step for step in failed if step.lost and not reached]
    others = [step for step in failed if step not in lost]
    notices = [
        Notice(
            kind="job",
            key=f"job:{job}:{step.number}",
            text=f"job {job}, step {step.number}: tomic {step.command} ended with code "
            f"{step.exit_code}" + (f": {step.reason}" if step.reason else ""),
            more=f"tomic {step.command}",
        )
        for step in others
    ]
    if lost:
        steps = ", ".join(str(step.number) for step in lost)
        noun = "step" if len(lost) == 1 else "steps"
        text = f"TWS unreachable, job {job}, {noun} {steps}: {lost[0].reason}"
        notices.append(Notice(kind="gateway", key="gateway", text=text, more="tomic doctor"))
    return Observation(
        notices=tuple(notices),
        covers=(f"job:{job}:", *(("gateway",) if reached else ())),
        # Whoever has no line to TWS has not looked at what it was for.
        unknown=tuple(f"job:{job}:{step.number}" for step in lost),
    )


def _joined(text: str, advice: str) -> str:
    return f"{text}; {advice}" if advice else text
