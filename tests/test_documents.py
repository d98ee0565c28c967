"""Models as JSON documents: no infinity, no NaN, a flag beside what has no bound, and back."""

from __future__ import annotations

import ast
import datetime as dt
import json
import math
from pathlib import Path

import pytest
from pydantic import BaseModel

import tomic
from support import random_chains
from support.made_books import made_book
from tomic.config import Settings
from tomic.journal import statistics
from tomic.journal.statistics import CampaignOutcome
from tomic.models import Proposal, ScanResult
from tomic.models.book import Mark
from tomic.models.documents import UnboundedModel, flag_of, to_document, to_text, with_flags
from tomic.models.journal import Context, Fill, JournalEntry, Statistics
from tomic.models.review import BookReview, Structure
from tomic.models.trade import FORMER_FORECAST
from tomic.portfolio import overview
from tomic.strategies import propose

SOURCE = Path(tomic.__file__).parent
NEAR, FAR = "2026-12-18", "2027-01-15"
OPEN_ENDED = ("short_strangle", "short_straddle", "ratio_spread")
"""Strategies of the catalogue that can lose without bound."""
EVERYTHING = Settings.model_validate({"scan": {"profile": "all"}})


def made_chain():
    return random_chains.chain(5, spot=100.0, sigma=0.40, strikes=41, gaps=False)


@pytest.fixture(scope="module")
def scan() -> ScanResult:
    """The best of each strategy, those with an unbounded loss among them."""
    chain = made_chain()
    vol = random_chains.snapshot(chain, iv30=0.40, hv30=0.36)
    return propose.rank([propose.evaluate(chain, vol, EVERYTHING)], top=3, by_strategy=True)


def review(text, *, cash=False, **more) -> BookReview:
    settings = Settings()
    if cash:
        account = settings.account.model_copy(update={"margin": "cash"})
        settings = settings.model_copy(update={"account": account})
    return overview.review(made_book(text, **more), settings, each_symbol=True)


def test_a_proposal_of_an_earlier_version_is_read(scan):
    """Figures under a forecast give way to the market's that stood beside; a note says so."""
    now = scan.proposals[0]
    new = {
        "short_delta", "distance", "cost_share", "mean_win", "ev_quotes", "ev_error",
        "percentile", "view", "managed", "events", "size", "similar",
    }  # fmt: skip
    old = {name: value for name, value in to_document(now).items() if name not in new}
    old |= {"pos": 0.9, "pos_market": 0.8, "ev": 30.0, "ev_market": -4.0, "ev_30d": 0.05}
    old |= {"forecast_volatility": 0.3, "hv": 0.2, "margin": 400.0, "dte": 60}

    read = Proposal.model_validate(old)

    assert (read.pos, read.ev, read.score) == (0.8, -4.0, now.score)
    assert read.ev_30d == pytest.approx(-4.0 / 400.0 / 2.0)
    assert read.notes == (*now.notes, FORMER_FORECAST)
    assert Proposal.model_validate(to_document(read)) == read


def test_the_context_of_an_old_entry_keeps_what_was_said():
    """PoS at entry, which is judged by what came, is the one that was said then."""
    assert Context.model_validate({"pos": 0.9, "pos_market": 0.8}).pos == 0.9


def undeclared(model: BaseModel, at: str = "") -> list[str]:
    """Infinite fields, wherever they are in a model, that no flag would tell of."""
    found = []
    for name in type(model).model_fields:
        value = getattr(model, name)
        declared = isinstance(model, UnboundedModel) and name in model.unbounded
        found += [] if declared else _infinite(value, f"{at}/{name}")
    return found


def _infinite(value, at):
    if isinstance(value, BaseModel):
        return undeclared(value, at)
    if isinstance(value, float):
        return [at] if math.isinf(value) else []
    if isinstance(value, dict):
        return [one for key, inner in value.items() for one in _infinite(inner, f"{at}/{key}")]
    if isinstance(value, list | tuple):
        return [one for n, inner in enumerate(value) for one in _infinite(inner, f"{at}/{n}")]
    return []


def strict(text: str):
    """JSON as a strict reader takes it."""
    return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


def test_models_become_documents_in_one_place():
    """Only `tomic.models.documents` dumps a model for JSON; anything else would do it otherwise."""
    dumping = []
    texts = {path: path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py")}
    for path, text in texts.items():
        for node in ast.walk(ast.parse(text)) if "model_dump" in text else ():
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            as_json = any(one.arg == "mode" for one in node.keywords)
            if node.func.attr == "model_dump_json" or (node.func.attr == "model_dump" and as_json):
                dumping.append(str(path.relative_to(SOURCE)))

    assert set(dumping) == {"models/documents.py"}


def test_flags_are_named_after_their_amounts():
    """The flag of the largest loss is that of the loss; others keep their name."""
    assert [flag_of(name) for name in ("max_loss", "max_profit", "margin")] == [
        "loss_bounded", "profit_bounded", "margin_bounded",
    ]  # fmt: skip


def test_a_proposal_that_was_kept_when_its_credit_was_after_commission(scan):
    """It is read with the commission apart, as a new one is; a new one comes back as it was."""
    now = scan.proposals[0]
    document = to_document(now)
    before = {name: value for name, value in document.items() if name != "cost_share"}
    before["credit"] = now.net_credit

    assert Proposal.model_validate(document) == now
    assert Proposal.model_validate(before).credit == pytest.approx(now.credit)
    assert now.commission > 0.0


@pytest.mark.parametrize("strategy", OPEN_ENDED)
def test_unbounded_loss_of_a_proposal(scan, strategy):
    """It is null beside a flag in JSON, infinite again when read, unlimited in a notebook."""
    best = next(one for one in scan.proposals if one.strategy == strategy and one.max_loss > 1e9)

    document = strict(to_text(best))

    assert (document["max_loss"], document["loss_bounded"]) == (None, False)
    assert (document["max_profit"], document["profit_bounded"]) == (best.max_profit, True)
    assert Proposal.model_validate(document) == best == Proposal.model_validate_json(to_text(best))
    assert "<td>unlimited</td>" in best._repr_html_()
    assert "inf" not in best._repr_html_()


def test_whole_scan_there_and_back(scan):
    """Every proposal, refusal and nearest miss comes back; no infinity goes without its flag."""
    document = strict(to_text(scan))

    assert {one.strategy for one in scan.proposals} >= set(OPEN_ENDED)
    assert undeclared(scan) == []
    assert ScanResult.model_validate(document) == scan
    assert strict(scan.model_dump_json()) == document
    assert "unlimited" in scan._repr_html_() and "inf<" not in scan._repr_html_()


def test_refused_for_a_loss_without_bound():
    """The refusal says in words and by a flag that what was observed has no bound."""
    chain = made_chain()
    vol = random_chains.snapshot(chain, iv30=0.40, hv30=0.36)
    rules = Settings().model_copy(
        update={"scan": Settings().scan.model_copy(update={"max_loss": 500.0})}
    )
    shown = propose.propose(chain, vol, strategies=["short_strangle"])
    trade = shown.proposals[0].trade

    found = propose.explain_trade(chain, vol, trade, rules)

    (refusal,) = [one for one in found.refusals if one.rule == "max_loss"]
    assert refusal.message == "loss unlimited > 500.00"
    document = strict(to_text(found))
    (written,) = [one for one in document["refusals"] if one["rule"] == "max_loss"]
    assert (written["observed"], written["observed_bounded"]) == (None, False)
    assert type(found).model_validate(document) == found


@pytest.mark.parametrize(
    "text",
    [
        f"-1 SPY 650C {NEAR} @2",
        f"-1 SPY 560P {NEAR} @3, -1 SPY 640C {NEAR} @3",
        f"-1 SPY 600P {NEAR} @9, -1 SPY 600C {NEAR} @9",
        f"+1 SPY 620C {NEAR} @5, -2 SPY 640C {NEAR} @3",
        f"-1 SPY 560P {NEAR} @4, -1 SPY 620C {NEAR} @5, +1 SPY 630C {NEAR} @4",
        f"+1 SPY 620C {NEAR} @5",
        f"-1 SPY 620C {NEAR} @5, +1 SPY 640C {FAR} @6",
        "-100 SPY @590",
        "+100 SPY @590",
    ],
)
@pytest.mark.parametrize("cash", [False, True])
def test_review_of_what_has_no_bound(text, cash):
    """Of whatever is held the review is strict JSON, comes back, and flags what has no bound."""
    found = review(text, cash=cash)

    document = strict(to_text(found))

    assert undeclared(found) == []
    assert BookReview.model_validate(document) == found
    for one, written in zip(found.structures, document["structures"], strict=True):
        for name in Structure.unbounded:
            value = getattr(one, name)
            flag = None if value is None else not math.isinf(value)
            assert written[flag_of(name)] is flag
            assert written[name] == (value if flag else None)


def test_naked_call_that_may_not_be_held():
    """In a cash account its margin has no bound, and the total is not known without it."""
    found = review(f"-1 SPY 650C {NEAR} @2, +100 QQQ @500", cash=True, spots={"QQQ": 500.0})

    document = to_document(found)

    (call,) = [one for one in document["structures"] if one["symbol"] == "SPY"]
    assert (call["margin"], call["margin_bounded"]) == (None, False)
    assert found.totals.margin is None and found.totals.margin_known > 0.0
    assert found.totals.margin_unknown == (call["id"],)


def test_profit_factor_without_losses():
    """Infinite in Python, null beside its flag in JSON; without any result unknown."""
    day = made_book().as_of.date()
    won = CampaignOutcome(id=1, symbol="SPY", strategy="x", opened=day, closed=day, result=100.0)

    factor = statistics.statistics([won])
    nothing = statistics.statistics([])

    written = strict(to_text(factor))
    assert (written["profit_factor"], written["profit_factor_bounded"]) == (None, False)
    assert Statistics.model_validate(written) == factor
    assert to_document(nothing)["profit_factor_bounded"] is None


@pytest.mark.parametrize("word", ['"Infinity"', "Infinity", "1e999"])
def test_documents_of_before_the_flags(word):
    """What earlier versions stored, as a text or as a number of Python, is still infinite."""
    text = f'{{"max_loss": {word}, "max_profit": 120.0}}'

    assert Context.model_validate(json.loads(text)) == Context(max_loss=math.inf, max_profit=120.0)
    assert Context.model_validate_json(text).max_loss == math.inf


def test_entry_with_an_unbounded_loss():
    """The context of a journal entry keeps it also where defaults are left out."""
    context = Context(max_loss=math.inf, max_profit=210.0)
    entry = JournalEntry(symbol="SPY", opened_at=made_book().as_of, context=context)

    document = strict(to_text(entry, exclude_defaults=True))

    assert document["context"]["loss_bounded"] is False
    assert "margin_bounded" not in document["context"]
    assert JournalEntry.model_validate(document) == entry


def test_flag_that_contradicts_its_amount():
    """An amount that is there cannot be without bound."""
    with pytest.raises(ValueError, match=r"max_loss is 5\.0, but loss_bounded says"):
        Context.model_validate({"max_loss": 5.0, "loss_bounded": False})


def test_missing_is_null_and_never_a_word():
    """NaN becomes null, and only what is declared gets a flag."""
    assert to_document(Mark(price=math.nan))["price"] is None
    assert with_flags({"id": 1, "max_loss": math.nan, "rom": 0.1}, ("max_loss",)) == {
        "id": 1, "max_loss": None, "loss_bounded": None, "rom": 0.1,
    }  # fmt: skip


def test_commission_that_nobody_knows():
    """A fill that came without one can be stored and read again, and its cost stays unknown."""
    fill = Fill(
        expiry=dt.date(2026, 12, 18), strike=560.0, right="P", quantity=-1, price=3.0,
        commission=math.nan,
    )  # fmt: skip

    document = strict(to_text(fill))

    assert document["commission"] is None
    assert math.isnan(Fill.model_validate(document).commission)
