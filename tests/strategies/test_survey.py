"""The search with few quotes: only what was quoted is found, and of that everything."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from support import random_chains, reference
from tomic import valuation
from tomic.chain import Chain
from tomic.config import Settings
from tomic.models import RowStatus
from tomic.selection import Wanted
from tomic.strategies import candidates, propose, sampling, search, survey, thesis
from tomic.strategies.catalogue.templates import CATALOGUE
from tomic.strategies.propose import Gated
from tomic.strategies.survey import Hunt, Survey

SETTINGS = Settings()
NAMES = ("iron_condor", "short_put_spread", "short_strangle", "naked_put", "iron_butterfly")
TEMPLATES = tuple(CATALOGUE[name] for name in NAMES)


def quotes_of(chain):
    return {Wanted(row.expiry, row.strike, row.right): row for row in chain.rows()}


def survey_of(chain):
    """Nothing known yet of *chain*."""

    def make(rows):
        built = Chain.from_quotes(
            rows, underlying=chain.underlying, spot=chain.spot, as_of=chain.as_of, rate=chain.rate
        )
        return valuation.complete(built, SETTINGS.market, SETTINGS.chain)

    return Survey(
        symbol=chain.symbol,
        vol=random_chains.snapshot(chain, hv30=0.22),
        settings=SETTINGS,
        gated=Gated(TEMPLATES, (), {}),
        make=make,
    )


def sampled(seed, strikes=31, **options):
    """A survey that has learnt its sample, and all quotes."""
    chain = random_chains.chain(seed, strikes=strikes, gaps=False, sigma=0.25, **options)
    quotes, own = quotes_of(chain), survey_of(chain)
    few = sampling.sample(list(quotes), chain.spot.price, chain.as_of.date(), 0.25, 7)
    own.learn({option: quotes[option] for option in few}, list(quotes))
    return own, quotes


@pytest.mark.parametrize("seed", [1, 2])
def test_a_coarse_look_is_let_go_and_computed_again(seed, monkeypatch):
    """What is let go after a coarse look changes no trade and no count of what comes later."""

    def looked_at():
        chain = random_chains.chain(seed, strikes=21, gaps=False, sigma=0.25)
        quotes, own = quotes_of(chain), survey_of(chain)
        own.learn({option: quotes[option] for option in list(quotes)[::5]}, coarse=True)
        counted = own.evaluation(with_trades=False)
        sought = [trade(one.hit) for one in own.sought()]
        own.learn({option: quotes[option] for option in list(quotes)[::2]}, list(quotes))
        return own, counted, sought

    own, counted, sought = looked_at()
    monkeypatch.setattr(Survey, "_let_go", lambda _: None)
    other, other_counted, other_sought = looked_at()

    assert sought == other_sought != []
    assert counted.outcome == other_counted.outcome
    assert counted.nearest_misses == other_counted.nearest_misses
    assert [(trade(one.hit), one.score) for one in own.kept] == [
        (trade(one.hit), one.score) for one in other.kept
    ]
    assert own.evaluation().rejected == other.evaluation().rejected


def test_a_coarse_look_keeps_no_densities():
    """Hundreds of symbols have one each."""
    chain = random_chains.chain(1, strikes=21, gaps=False, sigma=0.25)
    quotes, own = quotes_of(chain), survey_of(chain)

    own.learn({option: quotes[option] for option in list(quotes)[::5]}, coarse=True)

    assert own.has_quotes
    assert own.estimated is None
    assert own.kept
    assert not any(contender.hit.board.outlooks for contender in own.kept)


def hunt_of(surveys, top=5):
    choose = partial(propose.walk, scan=SETTINGS.scan, top=top, symbols=len(surveys))
    return Hunt(surveys={own.symbol: own for own in surveys}, choose=choose, top=top)


def trade(hit):
    return hit.template.name, hit.template.side, hit.expiries, hit.rows


@pytest.mark.parametrize("seed", [1, 2, 4])
def test_of_what_was_asked_everything_is_found(seed):
    """The search of asked options is the whole search, restricted to trades among them."""
    own, _ = sampled(seed, sec_type="STK" if seed % 2 else "IND")
    found = own.estimated
    among = search.search(found.of_asked(), TEMPLATES, keep=search.ALL).hits
    everything = search.search(found.board, TEMPLATES, keep=search.ALL).hits
    restricted = [hit for hit in everything if found.quoted[list(hit.rows)].all()]

    assert {trade(hit) for hit in among} == {trade(hit) for hit in restricted}
    scores = {trade(hit): hit.score for hit in restricted}
    assert all(hit.score == pytest.approx(scores[trade(hit)], abs=1e-6) for hit in among)
    assert among


def test_the_second_stage_gives_what_brute_force_gives():
    """Plain loops over the asked options of a board find the same best trade of each group."""
    own, _ = sampled(3, strikes=21)
    board = own.estimated.of_asked()
    trades, _, _ = reference.scan(board, TEMPLATES)

    best = {}
    for one in sorted(trades, key=lambda one: one.key):
        best.setdefault((one.strategy, one.group), one)
    hits = search.search(board, TEMPLATES).hits

    assert sorted(hit.score for hit in hits) == pytest.approx(
        sorted(one.score for one in best.values()), abs=1e-6
    )


def test_a_coarse_sample_keeps_the_best_of_each_group_and_a_sample_many():
    """Also where the sample brings no expiry that was not known."""
    chain = random_chains.chain(3, strikes=31, gaps=False, sigma=0.25)
    quotes, own = quotes_of(chain), survey_of(chain)
    few = sampling.coarse(list(quotes), chain.spot.price, chain.as_of.date(), 0.25, 7)

    own.learn({option: quotes[option] for option in few}, list(quotes), coarse=True)
    best = [trade(one.hit) for one in own.kept]
    own.learn({option: quotes[option] for option in few})
    groups = {trade(one.hit)[:3] for one in own.kept}

    assert best == [
        trade(next(one.hit for one in own.kept if trade(one.hit)[:3] == key[:3])) for key in best
    ]
    assert len(best) == len(groups) < len(own.kept)
    assert not own.is_coarse


def test_rescoring_is_the_search_of_what_was_kept():
    """Trades judged again on the same board keep their scores and their order."""
    own, _ = sampled(2)
    kept = [contender.hit for contender in own.kept]

    again = search.among(own.estimated.board, kept)

    assert [trade(hit) for hit in again] == [trade(hit) for hit in kept]
    assert [hit.score for hit in again] == pytest.approx([hit.score for hit in kept], abs=1e-9)


def test_nothing_is_found_with_a_leg_that_was_not_quoted():
    """Every contender of an evaluation has its own bid and ask on all legs."""
    own, quotes = sampled(4)

    own.keep(own.sought())
    contenders = own.evaluation().contenders

    assert contenders
    for contender in contenders:
        for leg in survey.legs_of(contender.hit):
            assert own.quotes[leg] == quotes[leg]
            assert quotes[leg].bid > 0.0


def test_rounds_end_when_no_estimate_above_the_bar_lacks_a_quote():
    """They ask for each option once, and leave the best of all options found."""
    surveys = [sampled(seed) for seed in range(3)]
    hunt = hunt_of([own for own, _ in surveys])
    all_quotes = {own.symbol: quotes for own, quotes in surveys}

    while wanted := hunt.wanted():
        for symbol, options in wanted.items():
            assert not set(options) & set(hunt.surveys[symbol].quotes)
            hunt.surveys[symbol].learn({one: all_quotes[symbol][one] for one in options})

    assert 0 < hunt.rounds <= survey.ROUNDS
    shown = hunt.choose([one for own, _ in surveys for one in own.sought()])
    assert len(shown) == 5
    asked = sum(len(own.quotes) for own, _ in surveys)
    assert asked < sum(map(len, all_quotes.values())) * 0.9


def test_what_would_not_be_shown_beside_a_better_trade_is_not_asked_for():
    """Of a thesis one trade is shown: another of it must beat that, not the last place."""
    own, _ = sampled(1)
    hunt, best = hunt_of([own]), own.kept[0]
    rivals = {survey._group_of(best): best}
    other = next(
        one
        for one in own.kept
        if thesis.of(one.hit) == thesis.of(best.hit)
        and one.hit.template.name != best.hit.template.name
        and one.score < best.score - hunt.margin
    )

    assert not hunt._would_be_shown(other, rivals)
    assert hunt._would_be_shown(other, {})
    hunt.margin = best.score - other.score + 0.1
    assert hunt._would_be_shown(other, rivals)


FIRST, SECOND = dt.date(2026, 12, 18), dt.date(2027, 1, 15)


def estimate(symbol, score, strategy="naked_put", second=None):
    """A contender of which only its symbol, strategy, expiries and score are of interest."""
    hit = SimpleNamespace(
        board=SimpleNamespace(chain=SimpleNamespace(symbol=symbol)),
        template=SimpleNamespace(name=strategy, side="bullish"),
        expiries=(FIRST, second),
    )
    return SimpleNamespace(hit=hit, score=score)


def coarse_hunt(estimates, top=2):
    """Surveys that keep *estimates* of their symbols and have no quote yet, and the best shown."""
    surveys = {}
    for one in estimates:
        name = one.hit.board.chain.symbol
        own = surveys.setdefault(name, SimpleNamespace(symbol=name, kept=[], exact=list))
        own.kept.append(one)

    def choose(contenders):
        return sorted(contenders, key=lambda one: -one.score)[:top]

    return Hunt(surveys=surveys, choose=choose, top=top)


def test_trades_of_two_expiries_put_no_symbol_aside():
    """Calendars that may be refused fill the ranking, and the best single expiry still stays."""
    calendars = [estimate(name, 80.0, "calendar", SECOND) for name in ("AAA", "BBB")]
    plain = [estimate("CCC", 55.0), estimate("DDD", 54.0), estimate("EEE", 40.0)]
    hunt = coarse_hunt([*calendars, *plain])

    assert hunt.put_aside() == {"AAA", "BBB", "CCC", "DDD"}
    assert set(hunt.aside) == {"EEE"} and "EEE" not in hunt.surveys


def test_a_symbol_comes_back_when_quotes_bring_the_ranking_down():
    """Estimates that turn out refused leave places to what was put aside for them."""
    hunt = coarse_hunt([estimate("AAA", 60.0), estimate("BBB", 59.0), estimate("CCC", 50.0),
                        estimate("DDD", 40.0)])  # fmt: skip
    assert hunt.put_aside() == {"AAA", "BBB"}

    hunt.surveys["AAA"].exact = lambda: [estimate("AAA", 60.0)]
    hunt.surveys["BBB"].exact = lambda: [estimate("BBB", 45.0)]

    assert hunt.take_back() == {"CCC"}
    assert set(hunt.surveys) == {"AAA", "BBB", "CCC"} and set(hunt.aside) == {"DDD"}
    hunt.surveys["CCC"].exact = lambda: [estimate("CCC", 50.0)]
    assert hunt.take_back() == set()


def test_an_answer_that_did_not_come_takes_no_quote():
    """A leg that times out when it is asked again keeps the quote it had."""
    own, quotes = sampled(1)
    option = next(iter(own.quotes))
    silent = survey.unasked(option).model_copy(update={"status": RowStatus.TIMEOUT})

    own.learn({option: silent})

    assert own.quotes[option] == quotes[option]


def test_a_quote_that_went_away_takes_its_trades():
    """Once a leg has no bid any more, no trade with it is left."""
    own, quotes = sampled(1)
    own.keep(own.sought())
    option = survey.legs_of(own.exact()[0].hit)[0]

    own.learn({option: quotes[option].model_copy(update={"bid": None})})

    assert not any(option in survey.legs_of(one.hit) for one in own.exact())


def test_the_chain_of_a_survey_holds_what_was_asked_alone():
    """Estimates are nowhere in it."""
    own, quotes = sampled(1)

    chain = own.chain

    assert len(chain) == len(own.quotes) < len(quotes)
    assert "options quoted, the others estimated" in own.evaluation().outcome.notes[-1]


def test_rescoring_leaves_out_what_its_strategy_does_not_allow_any_more():
    """A trade whose short leg has left its delta band on the newer board is not found again."""
    own, _ = sampled(2)
    board = own.estimated.board
    hits = [one.hit for one in own.kept if one.hit.template.name == "short_put_spread"]
    at_money = replace(board, delta=np.where(board.chain.is_call, 0.5, -0.5))

    assert search.among(board, hits)
    assert search.among(at_money, hits) == ()


def test_what_is_kept_is_what_a_search_builds():
    """Of every strategy, trades of a search are still those of their template on its board."""
    own, _ = sampled(2)
    board = own.estimated.board
    for batch in search.batches(board, tuple(CATALOGUE.values())):
        for member in batch.members:
            lawful = candidates.still(member.template, board, member.expiries, member.row)
            assert lawful.all()
