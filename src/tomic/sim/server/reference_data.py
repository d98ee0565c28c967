"""
What TWS knows beside prices and accounts: where histories begin, venues, news, scanners, events.

Source: TWS API documentation, "Earliest data point", "Smart components", "News", "Market scanner".
"""

from __future__ import annotations

from datetime import UTC, datetime, time

from tomic.sim.market import Listing
from tomic.sim.server.limits import zone_named
from tomic.sim.server.lookup import resolve
from tomic.sim.server.market_data import SERIES, VENUE_LETTERS
from tomic.sim.server.state import ANSWERLESS, Client, Handlers
from tomic.wire import answers, requests

_EVER_DAYS = 100_000
_OPENS = time(9, 30)
_NEWS = (
    answers.NewsProvider("BRFG", "Briefing.com General Market Columns"),
    answers.NewsProvider("BRFUPDN", "Briefing.com Analyst Actions"),
    answers.NewsProvider("DJNL", "Dow Jones Newsletters"),
)
_DEPTH = (
    answers.DepthExchange("ISLAND", "STK", service="Deep2"),
    answers.DepthExchange("ARCA", "STK"),
    answers.DepthExchange("BATS", "STK"),
    answers.DepthExchange("CBOE", "OPT"),
    answers.DepthExchange("IDEALPRO", "CASH", aggregation_group=4),
)
_SCANNERS = (
    ("TOP_PERC_GAIN", "Top % Gainers"),
    ("TOP_PERC_LOSE", "Top % Losers"),
    ("MOST_ACTIVE", "Most Active"),
    ("HOT_BY_VOLUME", "Hot Contracts by Volume"),
    ("HIGH_OPT_IMP_VOLAT", "Highest Option Imp Vol"),
    ("OPT_VOLUME_MOST_ACTIVE", "Most Active by Opt Volume"),
)
_INSTRUMENTS = (
    ("US Stocks", "STK", "STK.US.MAJOR"),
    ("US Indices", "IND.US", "IND.US"),
    ("European Stocks", "STOCK.EU", "STK.EU"),
)
_FILTERS = (("PRICE", "priceAbove"), ("VOLUME", "volumeAbove"), ("OPTVOLUME", "optVolumeAbove"))


def scanner_parameters() -> str:
    """Instruments, places, kinds and filters of scanners, in the form of TWS's own document."""
    instruments = "".join(
        f"<Instrument><name>{name}</name><type>{kind}</type></Instrument>"
        for name, kind, _ in _INSTRUMENTS
    )
    places = "".join(
        f"<Location><displayName>{name}</displayName><locationCode>{place}</locationCode>"
        f"<instruments>{kind}</instruments></Location>"
        for name, kind, place in _INSTRUMENTS
    )
    kinds = "".join(
        f"<ScanType><displayName>{name}</displayName><scanCode>{code}</scanCode>"
        "<instruments>STK,STOCK.EU</instruments></ScanType>"
        for code, name in _SCANNERS
    )
    filters = "".join(
        f"<RangeFilter><id>{ident}</id><AbstractField><code>{code}</code></AbstractField>"
        "</RangeFilter>"
        for ident, code in _FILTERS
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ScanParameterResponse>'
        f"<InstrumentList>{instruments}</InstrumentList>"
        f"<LocationTree>{places}</LocationTree>"
        f"<ScanTypeList>{kinds}</ScanTypeList>"
        f"<FilterList>{filters}</FilterList></ScanParameterResponse>"
    )


class ReferenceData:
    """Answers what does not change while a session lasts, for one connection."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def handlers(self) -> Handlers:
        """What this part answers."""
        return {
            requests.ReqHeadTimestamp: ("head_timestamp", self._head),
            requests.CancelHeadTimestamp: (ANSWERLESS, self._stop),
            requests.ReqNewsProviders: ("news_providers", self._news),
            requests.ReqFamilyCodes: ("family_codes", self._families),
            requests.ReqSmartComponents: ("smart_components", self._components),
            requests.ReqDepthExchanges: ("depth_exchanges", self._depth),
            requests.ReqScannerParameters: ("scanner_parameters", self._scanners),
            requests.ReqSoftDollarTiers: ("soft_dollar_tiers", self._tiers),
            requests.ReqEventFilters: ("event_filters", self._events),
            requests.CancelEventFilters: (ANSWERLESS, self._stop),
        }

    def _head(self, request: requests.ReqHeadTimestamp) -> None:
        client, gateway = self._client, self._client.gateway
        if not client.begin(request.req_id, "head_timestamp"):
            return
        what = request.what.upper()
        objection = "" if what in SERIES else f"Invalid historical data type: {request.what}"
        listing = resolve(client, request.req_id, request.contract, objection)
        if listing is None:
            client.end(request.req_id)
            return

        client.later(client.draw(gateway.profile.history_s), self._head_now, request, listing)

    def _head_now(self, request: requests.ReqHeadTimestamp, listing: Listing) -> None:
        client, market = self._client, self._client.gateway.market
        if not client.end(request.req_id):
            return
        bars = market.bars(listing.con_id, request.what.upper(), _EVER_DAYS, market.now())
        if not bars:
            client.error(request.req_id, 162, "No head time stamp")
            return
        opened = datetime.combine(bars[0].day, _OPENS, zone_named(listing.time_zone_id))
        text = f"{opened.astimezone(UTC):%Y%m%d-%H:%M:%S}"
        if request.date_format == 2:
            text = str(round(opened.timestamp()))
        client.send(answers.HeadTimestamp(request.req_id, text))

    def _stop(self, request: requests.CancelHeadTimestamp | requests.CancelEventFilters) -> None:
        self._client.end(request.req_id)

    def _news(self, _: requests.ReqNewsProviders) -> None:
        self._client.send(answers.NewsProviders(_NEWS))

    def _families(self, _: requests.ReqFamilyCodes) -> None:
        accounts = self._client.gateway.market.accounts()
        self._client.send(
            answers.FamilyCodes(tuple(answers.FamilyCode(account, "") for account in accounts))
        )

    def _components(self, request: requests.ReqSmartComponents) -> None:
        rows = tuple(
            answers.SmartComponent(bit, exchange, letter)
            for bit, (exchange, letter) in enumerate(VENUE_LETTERS.items())
        )
        self._client.send(answers.SmartComponents(request.req_id, rows))

    def _depth(self, _: requests.ReqDepthExchanges) -> None:
        self._client.send(answers.DepthExchanges(_DEPTH))

    def _scanners(self, _: requests.ReqScannerParameters) -> None:
        self._client.send(answers.ScannerParameters(scanner_parameters()))

    def _tiers(self, request: requests.ReqSoftDollarTiers) -> None:
        self._client.send(answers.SoftDollarTiers(request.req_id))

    def _events(self, request: requests.ReqEventFilters) -> None:
        """The calendar of Wall Street Horizon costs extra, and few logins have it."""
        self._client.error(request.req_id, 10276)
