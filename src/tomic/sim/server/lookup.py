"""Contract details, option parameters and symbol search: what exists, not what it costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from operator import attrgetter
from typing import Any, Protocol, runtime_checkable

from tomic.sim import faults
from tomic.sim.faults import Subject
from tomic.sim.market import Listing, Market
from tomic.sim.server.limits import AMBIGUOUS
from tomic.sim.server.state import Client, DetailsQueue, Handlers
from tomic.wire import answers, requests
from tomic.wire.layout import number_text
from tomic.wire.requests import ContractSpec

_ROWS_AT_ONCE = 16
_MATCHES = 16
_RIGHTS = {"C": "C", "CALL": "C", "P": "P", "PUT": "P", "": "", "?": "", "0": ""}
_SECURITY_TYPES = frozenset(
    {
        "STK", "OPT", "FUT", "IND", "FOP", "CASH", "BAG", "WAR", "IOPT", "BOND", "FUND", "CMDTY",
        "NEWS", "CRYPTO", "CFD", "CONTFUT", "EC",
    }
)  # fmt: skip


@runtime_checkable
class Named(Protocol):
    """A market that can list its underlyings."""

    @property
    def symbols(self) -> Sequence[str]:
        """Their symbols."""


def right_of(contract: ContractSpec) -> str:
    """C, P, or empty when the contract leaves its right open."""
    return _RIGHTS.get(contract.right.upper(), "")


def complaint(contract: ContractSpec) -> str:
    """TWS's objection to a description before it looks anything up; empty when there is none."""
    if contract.con_id and not contract.sec_type:
        return ""
    known = contract.sec_type.upper() in _SECURITY_TYPES
    return "" if known else "Please enter a valid security type"


def find(market: Market, contract: ContractSpec) -> Sequence[Listing]:
    """Every listing that fits; a month YYYYMM leaves the day open, half a date fits nothing."""
    if contract.right.upper() not in _RIGHTS or len(contract.expiry) in (1, 2, 3, 4, 5, 7):
        return ()
    month = contract.expiry if len(contract.expiry) == 6 else ""
    expiry = "" if month else contract.expiry[:8]
    fitting = market.find(replace(contract, expiry=expiry, right=right_of(contract)))
    if not month:
        return fitting
    return [
        listing
        for listing in fitting
        if listing.expiry is not None and f"{listing.expiry:%Y%m}" == month
    ]


def trades_at(listing: Listing, exchange: str) -> bool:
    """Whether a request may name that exchange for the contract."""
    named = {listing.exchange, listing.primary_exchange, *listing.valid_exchanges.split(",")}
    return exchange in named


_CONFLICT = (
    "Parameters in request conflicts with contract parameters received by contract id: "
    "requested expiry {}, in contract {};"
)


def conflict(contract: ContractSpec, listing: Listing) -> str:
    """TWS's objection to an id beside the expiry of another contract; empty when there is none."""
    contradicts = contract.con_id and contract.expiry not in ("", listing.expiry_text)
    return _CONFLICT.format(contract.expiry, listing.expiry_text) if contradicts else ""


def resolve(
    client: Client, req_id: int, contract: ContractSpec, objection: str = ""
) -> Listing | None:
    """The one listing that a request for its data means; None after an error when there is none."""
    refusal = complaint(contract) or ("" if contract.exchange else "Please enter exchange")
    if refusal or objection:
        client.error(req_id, 321, refusal or objection)
        return None
    fitting = find(client.gateway.market, contract)
    listings = [listing for listing in fitting if trades_at(listing, contract.exchange)]
    if len(listings) == 1:
        contradiction = conflict(contract, listings[0])
        if not contradiction:
            return listings[0]
        client.error(req_id, 478, text=contradiction)
        return None
    client.error(req_id, 200, text=AMBIGUOUS.format(contract.symbol) if listings else "")
    return None


def subject_of_listing(listing: Listing) -> Subject:
    """A listing as faults aim at it."""
    return Subject(
        listing.symbol, listing.sec_type, listing.expiry_text, listing.strike, listing.right
    )


def subject_of(market: Market, request: object) -> Subject:
    """What a request is about, as faults aim at it; con_id alone is looked up."""
    contract = getattr(request, "contract", None)
    if not isinstance(contract, ContractSpec):
        return Subject(symbol=getattr(request, "symbol", ""))
    if contract.con_id:
        listings = market.find(ContractSpec(con_id=contract.con_id))
        if len(listings) == 1:
            return subject_of_listing(listings[0])
    return Subject(
        contract.symbol, contract.sec_type, contract.expiry, contract.strike, right_of(contract)
    )


def is_open_ended(contract: ContractSpec) -> bool:
    """Whether a details request leaves expiry, strike or right open, and is throttled for it."""
    if contract.con_id or contract.local_symbol or contract.sec_type not in ("OPT", "FOP"):
        return False
    return len(contract.expiry) < 8 or contract.strike == 0.0 or not right_of(contract)


_ALIKE = tuple(
    {item.name for item in fields(Listing)} & {item.name for item in fields(answers.ContractData)}
)
"""What a row of contract details says just as a listing does."""
_alike = attrgetter(*_ALIKE)


def details_row(
    req_id: int, listing: Listing, under: Listing | None, last_trade: str
) -> answers.ContractData:
    """
    One listing as a row of contract details.

    Args:
        under: What an option is written on.
        last_trade: When it last trades, from `Times.last_trade`.
    """
    row: dict[str, Any] = dict(zip(_ALIKE, _alike(listing), strict=True))
    row |= {
        "last_trade": last_trade,
        "order_types": "ACTIVETIM,ALERT,DAY,GTC,LMT,MKT,WHATIF",
        "long_name": listing.long_name.encode("unicode_escape").decode("ascii"),
        "contract_month": listing.expiry_text[:6],
        "under_symbol": under.symbol if under else "",
        "under_sec_type": under.sec_type if under else "",
        "market_rules": ",".join("26" for _ in listing.valid_exchanges.split(",")),
        "real_expiry": f"{listing.settled:%Y%m%d}" if listing.settled else listing.expiry_text,
        "price_magnifier": listing.magnifier,
    }
    return answers.ContractData(req_id=req_id, **row)


_OWN = ("con_id", "strike", "right", "local_symbol")
"""What tells the options of one class and expiry apart."""
_shared = attrgetter(*(item.name for item in fields(Listing) if item.name not in _OWN))
_after_id = [item.name for item in fields(answers.ContractData)].index


class DetailsRows:
    """
    Rows of contract details in fields.

    An expiry has hundreds of options that share all but `_OWN`; of those that follow each other the
    rest is written once.
    """

    def __init__(self, client: Client, req_id: int, listings: Sequence[Listing]) -> None:
        gateway, self._under_id = client.gateway, listings[0].under_con_id
        self._client, self._req_id = client, req_id
        self._today = gateway.market.now().date()
        found = gateway.market.find(ContractSpec(con_id=self._under_id)) if self._under_id else ()
        self._under = found[0] if found else None
        self._of: tuple[Any, ...] = ()
        self._fields: list[str] = []
        self._places: tuple[int, ...] = ()

    def fields(self, listing: Listing) -> Sequence[str]:
        """The row of *listing*; the next call may change it."""
        shared = _shared(listing)
        if shared != self._of:
            self._of = shared
            self._write(listing)
        else:
            con_id, strike, right, local_symbol = self._places
            self._fields[con_id] = str(listing.con_id)
            self._fields[strike] = number_text(listing.strike)
            self._fields[right] = listing.right
            self._fields[local_symbol] = listing.local_symbol
        return self._fields

    def _write(self, listing: Listing) -> None:
        gateway, version = self._client.gateway, self._client.version
        zone = "" if gateway.profile.is_real else listing.time_zone_id
        last_trade = gateway.times.last_trade(listing, self._today, zone)
        under = self._under if listing.under_con_id == self._under_id else None
        row = details_row(self._req_id, listing, under, last_trade)
        self._fields = answers.ANSWERS.fields(row, version)
        # Up to these every version has the same fields, behind the id of the request.
        first = answers.ANSWERS.id_place(tuple(self._fields), version) or 0
        self._places = tuple(first + _after_id(name) for name in _OWN)


class Lookup:
    """Answers what exists, for one connection."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def handlers(self) -> Handlers:
        """What this part answers."""
        return {
            requests.ReqContractDetails: ("contract_details", self._details),
            requests.ReqOptionParams: ("option_params", self._params),
            requests.ReqMatchingSymbols: ("matching_symbols", self._matching),
            requests.ReqMarketRule: ("market_rule", self._rule),
        }

    def _details(self, request: requests.ReqContractDetails) -> None:
        client, gateway = self._client, self._client.gateway
        if not client.begin(request.req_id, "contract_details"):
            return
        contract = request.contract
        refusal = complaint(contract)
        if refusal:
            client.end(request.req_id)
            client.error(request.req_id, 321, refusal)
            return
        if not is_open_ended(contract):
            gateway.details_exact += 1
            self._stream(request, find(gateway.market, contract), done=lambda: None)
            return
        gateway.details_open += 1
        queue = gateway.details_queues.setdefault(contract.symbol, DetailsQueue())

        def start(done: Callable[[], None]) -> bool:
            if client.closed:
                return False
            release = _once(done)
            client.on_close.append(release)
            wait = client.draw(gateway.profile.details_open_s)
            client.later(wait, self._stream_open, request, release)
            return True

        queue.put(start)

    def _stream_open(
        self, request: requests.ReqContractDetails, release: Callable[[], None]
    ) -> None:
        def done() -> None:
            if release in self._client.on_close:
                self._client.on_close.remove(release)
            release()

        self._stream(request, find(self._client.gateway.market, request.contract), done=done)

    def _stream(
        self,
        request: requests.ReqContractDetails,
        listings: Sequence[Listing],
        *,
        done: Callable[[], None],
    ) -> None:
        client = self._client
        if not listings:
            client.end(request.req_id)
            client.error(request.req_id, 200)
            done()
            return
        rate = client.gateway.profile.details_rows_per_s
        paced = len(listings) > 1 and rate != math.inf
        step = _ROWS_AT_ONCE if paced else len(listings)
        for at in range(0, len(listings), step):
            rows = listings[at : at + step]
            # The end goes with the last rows: of two timers for one moment either may come first.
            ended = done if at + step >= len(listings) else None
            if paced:
                client.later((at + len(rows)) / rate, self._rows, request, rows, ended)
            else:
                self._rows(request, rows, ended)

    def _rows(
        self,
        request: requests.ReqContractDetails,
        rows: Sequence[Listing],
        ended: Callable[[], None] | None,
    ) -> None:
        told = DetailsRows(self._client, request.req_id, rows)
        for listing in rows:
            self._client.send_fields(told.fields(listing))
            self._client.row_done("contract_details")
        if ended is not None:
            self._rows_end(request, ended)

    def _rows_end(self, request: requests.ReqContractDetails, done: Callable[[], None]) -> None:
        if not self._is_endless("contract_details", request):
            self._client.end(request.req_id)
            self._client.send(answers.ContractDataEnd(request.req_id))
        done()

    def _params(self, request: requests.ReqOptionParams) -> None:
        client = self._client
        if not client.begin(request.req_id, "option_params"):
            return
        if request.con_id <= 0:
            client.end(request.req_id)
            client.error(request.req_id, 321, "Invalid contract id")
            return
        if not client.gateway.market.find(ContractSpec(con_id=request.con_id)):
            client.end(request.req_id)
            client.error(request.req_id, 200)
            return
        client.later(client.draw(client.gateway.profile.params_s), self._params_now, request)

    def _params_now(self, request: requests.ReqOptionParams) -> None:
        client = self._client
        # A named exchange asks for futures options there; for a share that is nothing at all.
        for row in client.gateway.market.parameters(request.symbol, request.con_id):
            wanted = row.exchange if request.sec_type == "FUT" else ""
            if request.exchange == wanted:
                client.send(answers.OptionParameters(request.req_id, row))
        if not self._is_endless("option_params", request):
            client.end(request.req_id)
            client.send(answers.OptionParamsEnd(request.req_id))

    def _is_endless(self, kind: str, request: object) -> bool:
        gateway = self._client.gateway
        if not gateway.interference.any():
            return False
        subject = subject_of(gateway.market, request)
        return gateway.interference.aimed(faults.Endless, kind, subject) is not None

    def _matching(self, request: requests.ReqMatchingSymbols) -> None:
        if not self._client.begin(request.req_id, "matching_symbols"):
            return
        market, pattern = self._client.gateway.market, request.pattern.strip().upper()
        listings = [
            listing
            for symbol in _resembling(market, pattern)
            for sec_type in ("STK", "IND", "FUT")
            for listing in market.find(ContractSpec(symbol=symbol, sec_type=sec_type))
        ]
        rows = tuple(
            answers.SymbolRow(
                listing.con_id,
                listing.symbol,
                listing.sec_type,
                listing.primary_exchange or listing.exchange,
                listing.currency,
                ("OPT",),
                listing.long_name,
            )
            for listing in listings[:_MATCHES]
        )
        self._client.end(request.req_id)
        self._client.send(answers.MatchingSymbols(request.req_id, rows))

    def _rule(self, request: requests.ReqMarketRule) -> None:
        self._client.send(answers.MarketRule(request.rule_id, (answers.PriceStep(0.0, 0.01),)))


def _resembling(market: Market, pattern: str) -> list[str]:
    """The symbol itself, then the market's symbols that begin alike, shortest first."""
    if not pattern:
        return []
    names = market.symbols if isinstance(market, Named) else ()
    known = dict.fromkeys(name.partition("@")[0] for name in names)
    alike = [symbol for symbol in known if symbol.startswith(pattern) or pattern.startswith(symbol)]
    return [pattern, *sorted((symbol for symbol in alike if symbol != pattern), key=len)]


def _once(call: Callable[[], None]) -> Callable[[], None]:
    """The same call, which does nothing the second time."""
    left = [call]

    def run() -> None:
        while left:
            left.pop()()

    return run
