"""Looking things up in a model market, for the tests of it and of what stands on it."""

from __future__ import annotations

from tomic.wire.requests import ContractSpec


def underlying(market, symbol):
    (listing,) = market.find(
        ContractSpec(symbol=symbol, sec_type="STK", exchange="SMART", currency="USD")
    ) or market.find(ContractSpec(symbol=symbol, sec_type="IND"))
    return listing


def spot(market, symbol):
    return market.quote(underlying(market, symbol).con_id).last


def chain(market, symbol, expiry, trading_class=""):
    """(listing, quote) of every option of one expiry."""
    options = market.find(
        ContractSpec(symbol=symbol, sec_type="OPT", expiry=expiry, trading_class=trading_class)
    )
    return [(option, market.quote(option.con_id)) for option in options]


def priced(market, symbol, trading_class, expiry):
    """The slice behind one expiry: unrounded model values, calls first."""
    owner = market.board.catalogue.instrument(symbol)
    rule = next(rule for rule in owner.classes if rule.name == trading_class)
    return market.board.slice_of(owner, rule, expiry)[0]
