"""
Activity statements of Interactive Brokers as CSV, in any language that IB writes.

A row is section, row type (Header, Data, SubTotal …) and cells. Sections and columns are known by
their names in English, German, French, Spanish, Italian, Russian and Chinese; in any other language
by their position and the type of their values, which is said. Orders count where there are orders,
their executions (Trade) where there are none. Multiplier, underlying and contract id come from
the section Financial Instrument Information, the multiplier else from the proceeds.

Source: Interactive Brokers, "Reporting Reference", and statements in public parsers.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial

from tomic import dates
from tomic.journal.broker import cells
from tomic.journal.broker.cells import Cells, Habits, Refused
from tomic.journal.broker.rows import EVENING, BrokerFile, Line, Reader, Reported, on_future
from tomic.journal.executions import Executed, Source
from tomic.models.journal import CashFlow, CashKind, ChangeKind, Contract, ContractChange

KIND = "IB activity statement"
_LEVELS = ("Order", "Trade")
_HEADER, _DATA = "Header", "Data"

_TRADES = frozenset(
    {
        "Trades",
        "Transaktionen",
        "Transactions",
        "Operaciones",
        "Dettaglio eseguiti",
        "Сделки",
        "交易",
    }
)
_LABELS: Mapping[str, str] = {
    label: name
    for name, labels in {
        "level": "datadiscriminator",
        "asset": "assetcategory vermogenswertkategorie anlagekategorie categoriedactifs "
        "categoriadeactivo categoriadeactivos tipodiattivo categoriadiattivo классактива 资产分类",
        "currency": "currency wahrung devise divisa valuta moneda валюта 货币",
        "account": "account konto compte cuenta conto счет 账户",
        "symbol": "symbol symbole simbolo символ",
        "datetime": "datetime datumzeit dateheure fechahora dataora датавремя 日期时间",
        "exchange": "exchange borse bourse mercado borsa биржа 交易所",
        "quantity": "quantity menge anzahl quantite cantidad quantita количество 数量",
        "tprice": "tprice tkurs tpreis prixtrans tprecio preciotrans tprezzo prezzotrans",
        "cprice": "cprice schlusskurs coursdeclot prixferm cprecio preciodecier cprezzo",
        "proceeds": "proceeds erlos ertrage erlose produit produits productos proventi ricavi",
        "commfee": "commfee provgebuhr provisiongebuhr commtarif tarifacom tarifacomision "
        "commtariffa tariffacomm commcommissione",
        "code": "code codigo codice код",
        "conid": "conid",
        "description": "description beschreibung descripcion descrizione описание",
        "underlying": "underlying basiswert sousjacent subyacente sottostante",
        "multiplier": "multiplier multiplikator multiplicateur multiplicador moltiplicatore "
        "множитель",
        "expiry": "expiry verfall verfallsdatum falligkeit expiration vencimiento scadenza",
        "right": "type typ tipo",
        "strike": "strike basispreis ausubungspreis prixdelevee precioejercicio preciodeejercicio "
        "strikeprice",
        "kind": "transactiontype transaktionstyp",
        "reportdate": "reportdate",
        "date": "date datum fecha data",
        "amount": "amount betrag montant cantidadmonto importe importo",
    }.items()
    for label in labels.split()
}  # fmt: skip
"""Plain names of columns in every language, as ours."""
_TRADE_COLUMNS = ("asset", "symbol", "datetime", "quantity", "tprice")
"""Without which a trade cannot be read."""
_INSTRUMENTS = frozenset(
    {
        "Financial Instrument Information", "Informationen zum Finanzinstrument",
        "Informations instrument financier", "Información de instrumento financiero",
        "Informazioni sullo strumento finanziario", "金融产品信息",
        "Информация о финансовом инструменте",
    }
)  # fmt: skip
_EXERCISES = "Option Exercises, Assignments and Expirations"
_CASH: Mapping[str, CashKind] = {
    "Dividends": CashKind.DIVIDEND, "Dividenden": CashKind.DIVIDEND,
    "Dividendes": CashKind.DIVIDEND, "Dividendos": CashKind.DIVIDEND,
    "Dividendi": CashKind.DIVIDEND,
    "Payment In Lieu Of Dividends": CashKind.IN_LIEU,
    "Withholding Tax": CashKind.WITHHOLDING, "Quellensteuer": CashKind.WITHHOLDING,
    "Retenue à la source": CashKind.WITHHOLDING, "Retención de impuestos": CashKind.WITHHOLDING,
    "Ritenuta d'acconto": CashKind.WITHHOLDING,
    "Interest": CashKind.INTEREST, "Broker Interest Paid": CashKind.INTEREST,
    "Broker Interest Received": CashKind.INTEREST, "Zinsen": CashKind.INTEREST,
    "Intérêts": CashKind.INTEREST, "Interés": CashKind.INTEREST, "Interessi": CashKind.INTEREST,
}  # fmt: skip
_OF_SYMBOL = re.compile(r"\s*([A-Z0-9][A-Z0-9. ]*?)\s*\(")
"""How the text of a dividend or a split begins: ``XYZ(US1234567890) Cash Dividend …``."""
_SPLIT = re.compile(r"\bsplit\s+(\d+(?:\.\d+)?)\s+for\s+(\d+(?:\.\d+)?)", re.IGNORECASE)
_STOCK_DIVIDEND = re.compile(
    r"\bstock dividend\b.*?(\d+(?:\.\d+)?)\s+for\s+(\d+(?:\.\d+)?)", re.IGNORECASE
)

_OPTIONS = ("option", "opcion", "opzion", "optie", "opcao", "опцион", "期权", "オプション")
_FUTURES = ("futur", "terme", "termin", "фьючерс", "期货", "先物")
_WARRANTS = ("warrant", "optionsschein")
_STOCKS = (
    "stocks", "equities", "aktien", "actions", "acciones", "azioni", "aandelen", "акции", "股票",
    "acoes", "akcje", "株式",
)  # fmt: skip
_NO_SHARES = ("forex", "cfd", "bond", "bill", "crypto", "fund", *_FUTURES, *_WARRANTS)
_STANDARD = 100
"""Shares of an American option whose class was never adjusted (OCC)."""
_CURRENCY = re.compile(r"[A-Z]{3}")
_PAIR = re.compile(r"[A-Z]{3}\.[A-Z]{3}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME = re.compile(r"\s*\d{1,2}:\d{2}(:\d{2})?")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[,;]? +\d{1,2}:\d{2}(:\d{2})?")
_ACCOUNT = re.compile(r"\(?([A-Z]{1,3}\d{3,}[A-Z]?)\b.*")
_ACCOUNT_LABELS = frozenset(
    {"account", "konto", "compte", "cuenta", "conto", "счет", "账户", "rekening"}
)
_FIRST = 2
"""The first cell behind section and row type."""


def plain(label: str) -> str:
    """A label without case, accents, blanks and signs."""
    letters = unicodedata.normalize("NFKD", label.casefold())
    return "".join(letter for letter in letters if letter.isalnum())


def is_statement(lines: Sequence[Line]) -> bool:
    """Whether these are the lines of an activity statement that has a section of trades."""
    return bool(_sections_of_trades(lines))


def _sections_of_trades(lines: Sequence[Line]) -> dict[str, bool]:
    """Sections that hold trades, and whether their name is known."""
    sections: dict[str, bool] = {}
    for line in lines:
        row = line.row
        if len(row) <= _FIRST or not row[0]:
            continue
        if row[0] in _TRADES and row[1] == _HEADER and plain(row[2]) == "datadiscriminator":
            sections[row[0]] = True
        elif (
            row[1] == _DATA
            and row[2] in _LEVELS
            and row[0] not in sections
            and any(_MOMENT.fullmatch(cell.strip()) for cell in row[_FIRST:])
        ):
            sections[row[0]] = row[0] in _TRADES
    return sections


# -- instruments ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Instrument:
    """What the statement says of a contract beside its trades."""

    underlying: str = ""
    multiplier: int | None = None
    con_id: int | None = None
    name: cells.OptionName | None = None


class Multipliers:
    """
    Multipliers as proceeds tell them.

    What most rows of a contract say holds, then what most of its class say: one row that was spoilt
    does not spoil the others.
    """

    def __init__(self) -> None:
        self._of: dict[str, Counter[int]] = {}
        self._of_class: dict[str, Counter[int]] = {}

    def add(self, contract: str, of_class: str, multiplier: int) -> None:
        """One row of a contract says so."""
        self._of.setdefault(contract, Counter())[multiplier] += 1
        self._of_class.setdefault(of_class, Counter())[multiplier] += 1

    def get(self, contract: str, of_class: str) -> int | None:
        """That of a contract, else of its class; None where no row tells it."""
        counts = self._of_class.get(of_class, Counter())
        own = self._of.get(contract) or counts
        return max(own, key=lambda value: (own[value], counts[value], value), default=None)


@dataclass(slots=True)
class _Statement:
    """What is told in one place of the file and used in another."""

    habits: Habits
    account: str = ""
    instruments: dict[str, _Instrument] = field(default_factory=dict)
    multipliers: Multipliers = field(default_factory=Multipliers)


def _named(text: str) -> str:
    return " ".join(text.upper().split())


def _columns(row: Sequence[str]) -> dict[str, int]:
    """Places of columns by our names, as far as the labels are known."""
    places: dict[str, int] = {}
    for place, label in enumerate(row):
        key = plain(label)
        if key == "代码":
            # Chinese statements call both the symbol and the codes so.
            places.setdefault("symbol", place)
            places["code"] = place
        elif (name := _LABELS.get(key)) is not None and place >= _FIRST:
            places.setdefault(name, place)
    return places


def _instrument(row: Sequence[str], columns: Mapping[str, int], habits: Habits) -> _Instrument:
    own = Cells(row, columns, habits)
    con_id, multiplier = own.text("conid"), own.text("multiplier")
    underlying = own.text("underlying")
    day = next((place for place in range(6, len(row)) if _DATE.fullmatch(row[place].strip())), None)
    if day is not None and not multiplier:
        # Underlying, exchange, multiplier, expiry: the same in every language.
        multiplier, underlying = row[day - 1], underlying or row[day - 3]
        con_id = con_id or next((cell for cell in row[5:day] if cell.isdecimal()), "")
    names = [cells.option_name(name) for name in _aliases(own.text("symbol") or row[3])]
    return _Instrument(
        underlying.strip(),
        _whole(multiplier, habits),
        _whole(con_id, habits),
        next((name for name in names if name is not None), None),
    )


def _whole(text: str, habits: Habits) -> int | None:
    try:
        number = habits.number(text.strip())
    except Refused:
        return None
    return int(number) if number > 0.0 and number == int(number) else None


def _aliases(text: str) -> list[str]:
    return [alias.strip() for alias in text.split(",") if alias.strip()]


def _read_instruments(lines: Iterable[Line], statement: _Statement) -> None:
    columns: dict[str, int] = {}
    for line in lines:
        row = line.row
        if len(row) < 5 or (row[0] not in _INSTRUMENTS and not _is_instrument(row)):
            continue
        if row[1] == _HEADER:
            columns = _columns(row)
        elif row[1] == _DATA:
            own = columns if row[0] in _INSTRUMENTS else {}
            instrument = _instrument(row, own, statement.habits)
            names = [*_aliases(row[3]), row[4]]
            for name in names:
                statement.instruments.setdefault(_named(name), instrument)


def _is_instrument(row: Sequence[str]) -> bool:
    """Whether a row of a section in an unknown language describes an option."""
    return (
        row[1] == _DATA
        and row[2] not in _LEVELS
        and any(cells.option_name(name) is not None for name in _aliases(row[3]))
        and any(_DATE.fullmatch(cell.strip()) for cell in row[6:])
    )


# -- trades --------------------------------------------------------------------------------------


def read(lines: Sequence[Line], separator: str) -> BrokerFile:
    """The trades of a statement."""
    sections = _sections_of_trades(lines)
    reader = Reader(_LEVELS)
    trades = list(_trades(lines, sections, separator, reader))
    habits = Habits.of(
        separator=separator,
        numbers=(
            row[columns[name]].strip()
            for row, columns in ((line.row, columns) for line, columns in trades)
            for name in ("quantity", "tprice", "proceeds", "commfee")
            if columns.get(name, len(row)) < len(row)
        ),
        days=(
            line.row[columns["datetime"]].strip()
            for line, columns in trades
            if columns.get("datetime", len(line.row)) < len(line.row)
        ),
    )
    statement = _Statement(habits, _account(lines))
    _read_instruments(lines, statement)
    _read_multipliers(trades, statement)
    reader.take(_reported(line, columns, statement, reader) for line, columns in trades)
    _read_others(lines, statement, sections, reader)
    return reader.file(KIND)


def _trades(
    lines: Sequence[Line], sections: Mapping[str, bool], separator: str, reader: Reader
) -> Iterator[tuple[Line, dict[str, int]]]:
    """Rows of trades with the places of their columns."""
    columns: dict[str, int] = {}
    width = 0
    for line in lines:
        row = line.row
        if len(row) <= _FIRST or row[0] not in sections:
            continue
        if row[1] == _HEADER:
            columns, width = _columns(row), len(row)
        elif row[1] != _DATA:
            reader.others[row[1]] += 1
        else:
            mended = _mended(line, columns, width) if separator == "," else line
            own = columns
            if any(name not in own for name in (*_TRADE_COLUMNS, "currency")):
                own = {**_positions(mended.row), **columns}
                reader.notes[
                    f"the columns of section {row[0]!r} were read by their position, because its "
                    "language is not known; look at the trades, or export the statement in English"
                ] = None
            yield mended, own


def _mended(line: Line, columns: Mapping[str, int], width: int) -> Line:
    """A row whose moment lost its quotation marks, in one cell again."""
    row, place = line.row, columns.get("datetime", -1)
    if width and len(row) == width + 1 and 0 < place < len(row) - 1:
        day, time = row[place].strip(), row[place + 1]
        if _DATE.fullmatch(day) and _TIME.fullmatch(time):
            row = [*row[:place], f"{day} {time.strip()}", *row[place + 2 :]]
            return Line(line.number, line.text, row, line.heading)
    return line


def _positions(row: Sequence[str]) -> dict[str, int]:
    """Columns of a trade by the type of their values."""
    place = next(
        (at for at, cell in enumerate(row) if at > 4 and _MOMENT.fullmatch(cell.strip())), None
    )
    if place is None:
        return {}
    columns = {"level": 2, "asset": 3, "symbol": place - 1, "datetime": place}
    if _CURRENCY.fullmatch(row[4].strip()) and place > 5:
        columns["currency"] = 4
    if place - 1 > 5:
        columns["account"] = 5
    first = place + 1
    if first < len(row) and not re.match(r"\s*[-+]?[\d.,]", row[first]):
        first += 1
    for offset, name in enumerate(("quantity", "tprice", "cprice", "proceeds", "commfee")):
        columns[name] = first + offset
    columns["code"] = first + 8
    return columns


def _account(lines: Iterable[Line]) -> str:
    """The account of the whole statement; empty where there are several, or it is masked."""
    for line in lines:
        row = line.row
        if len(row) == 4 and row[1] == _DATA and plain(row[2]) in _ACCOUNT_LABELS:
            return account_of(row[3])
    return ""


@lru_cache(maxsize=1000)
def account_of(text: str) -> str:
    """An account's number; empty where it is masked, or is that of several accounts together."""
    text = text.strip()
    if "*" in text or "," in text:
        return ""
    match = _ACCOUNT.fullmatch(text)
    return match[1] if match and "(" not in text else text if text.isalnum() else ""


def _has(category: str, words: Iterable[str]) -> bool:
    return any(plain(word) in category for word in words)


@lru_cache(maxsize=1000)
def _asset(name: str, symbol: str) -> str:
    """OPT, FOP, STK, the name itself where it is another kind, or empty where it is unknown."""
    # The company that holds them may be named behind: "Stocks - Held with …".
    category = plain(name.partition(" - ")[0])
    if _has(category, _OPTIONS):
        if _has(category, _WARRANTS):
            return name
        return "FOP" if _has(category, _FUTURES) else "OPT"
    if any(category.startswith(plain(word)) for word in _STOCKS):
        return "STK"
    if _PAIR.fullmatch(symbol.strip()) or _has(category, _NO_SHARES):
        return name
    return "OPT" if cells.option_name(symbol) is not None else ""


def _reported(
    line: Line, columns: Mapping[str, int], statement: _Statement, reader: Reader
) -> Reported:
    own = Cells(line.row, columns, statement.habits)
    name, symbol = own.text("asset"), own.text("symbol")
    asset = _asset(name, symbol)
    if not asset and _is_like_shares(own):
        asset = "STK"
        reader.notes[f"{name!r} was taken for shares: quantity times price is what they cost"] = (
            None
        )
    level = own.text("level")
    read: Callable[[], Executed] | None = on_future if asset == "FOP" else None
    if asset in ("OPT", "STK"):
        read = partial(_trade, own, statement, reader, is_option=asset == "OPT")
    group = (own.text("account"), asset, _named(symbol))
    return Reported(line.kept, level, group, read, name.partition(" - ")[0] or "no name")


def _is_like_shares(own: Cells) -> bool:
    try:
        ratio = _ratio(own)
    except Refused:
        return False
    return ratio is not None and abs(ratio - 1.0) < 0.01


def _ratio(own: Cells) -> float | None:
    """Proceeds of one contract over its price; None where they do not tell."""
    quantity, price = own.number("quantity"), own.number("tprice")
    proceeds = own.number("proceeds")
    if not quantity or not price or not proceeds:
        return None
    return abs(proceeds / (quantity * price))


def _read_multipliers(
    trades: Iterable[tuple[Line, Mapping[str, int]]], statement: _Statement
) -> None:
    for line, columns in trades:
        own = Cells(line.row, columns, statement.habits)
        symbol = own.text("symbol")
        name = cells.option_name(symbol)
        if name is None:
            continue
        try:
            multiplier = whole_ratio(_ratio(own))
        except Refused:
            continue
        if multiplier is not None:
            root = f"{name.root} {own.text('currency')}"
            statement.multipliers.add(_named(symbol), root, multiplier)


def whole_ratio(ratio: float | None) -> int | None:
    """A multiplier from proceeds, which are rounded to the cent."""
    if ratio is None or not 0.5 < ratio < 1e7:
        return None
    whole = round(ratio)
    return whole if abs(ratio - whole) <= 0.01 * whole else None


def _multiplier(
    symbol: str, root: str, currency: str, statement: _Statement, instrument: _Instrument
) -> tuple[int | None, str]:
    """The multiplier of an option, and what was taken for granted; None where nothing tells it."""
    of_class = f"{root} {currency}"
    told = instrument.multiplier or statement.multipliers.get(_named(symbol), of_class)
    if told is not None:
        return told, ""
    if currency == "USD" and not root[-1:].isdigit():
        return _STANDARD, (
            f"no multiplier of {root} in the file: {_STANDARD}, as of any American option that was "
            "never adjusted"
        )
    return None, f"no multiplier of {root} in the file; include Financial Instrument Information"


def _trade(own: Cells, statement: _Statement, reader: Reader, *, is_option: bool) -> Executed:
    symbol, currency = own.text("symbol"), own.text("currency")
    instrument = statement.instruments.get(_named(symbol), _Instrument())
    told: int | None = 1
    if is_option:
        name = instrument.name or cells.option_name(symbol)
        if name is None:
            if day := cells.looks_worded(symbol):
                cells.worded_day(day)
            raise Refused(f"{cells.short(symbol)!r} is no option such as SPY 20JUN25 560 P")
        told, note = _multiplier(symbol, name.root, currency, statement, instrument)
        if note:
            reader.notes[note] = None
        trading_class = name.trading_class or (name.root if currency == "USD" else "")
        contract = cells.contract(
            name.expiry,
            name.strike,
            name.right,
            told or 1,
            instrument.con_id,
            trading_class.replace(" ", "").replace(".", ""),
        )
        symbol = instrument.underlying or name.underlying
    else:
        contract = cells.contract(None, None, None, 1, instrument.con_id, "")
    fee = own.number("commfee")
    codes = cells.marks(own.text("code"))
    quantity = own.required("quantity")
    price = own.required("tprice")
    check_proceeds(quantity, price, told, own.number("proceeds"))
    return Executed(
        exec_id="",
        at=_moment(own, "datetime"),
        symbol=cells.symbol(symbol),
        contract=contract,
        quantity=quantity,
        price=price,
        commission=None if fee is None else 0.0 - fee,
        action=cells.action(codes),
        opens=cells.opens(codes),
        cancels="Ca" in codes,
        account=account_of(own.text("account")) or statement.account,
        currency=currency,
        lacks_multiplier=told is None,
        source=Source.ACTIVITY,
    )


def check_proceeds(
    quantity: float, price: float, multiplier: int | None, proceeds: float | None
) -> None:
    """Refuse a row whose numbers contradict each other: one of them was spoilt on its way."""
    if not multiplier or not proceeds or not price:
        return
    expected = abs(quantity * price * multiplier)
    if abs(abs(proceeds) - expected) > 0.02 + 0.01 * max(expected, abs(proceeds)):
        raise Refused(
            f"proceeds of {proceeds:g} are not {quantity:g} times {price:g} times {multiplier}; "
            "the file was changed after the broker wrote it, export it again"
        )


def _moment(own: Cells, name: str) -> dt.datetime:
    text = own.text(name)
    return own.habits.moment(text)


# -- other sections ------------------------------------------------------------------------------


def _read_others(
    lines: Iterable[Line], statement: _Statement, sections: Mapping[str, bool], reader: Reader
) -> None:
    """Settlements, dividends, interest, splits; the rows of any other section are counted."""
    columns: dict[str, dict[str, int]] = {}
    exercise = ""
    for line in lines:
        row = line.row
        if len(row) <= _FIRST or row[0] in sections or row[0] in _INSTRUMENTS:
            continue
        section = row[0]
        if row[1] == _HEADER:
            columns[section] = _columns(row)
            continue
        if row[1] != _DATA or not _is_whole(row):
            continue
        own = Cells(row, columns.get(section, {}), statement.habits)
        if section == _EXERCISES:
            kind = own.text("kind")
            if "cash settlement" in kind.lower():
                _keep(reader, line, partial(_settlement, own, statement, exercise))
            elif cells.option_name(own.text("symbol")) is not None:
                exercise = own.text("symbol")
        elif section in _CASH:
            _keep(reader, line, partial(_cash, own, statement, _CASH[section]))
        elif section == "Corporate Actions":
            change = reader.attempt(partial(_change, own, statement), line.kept)
            if change is not None:
                reader.changes.append(change)
        else:
            reader.others[section] += 1


def _is_whole(row: Sequence[str]) -> bool:
    """Whether a row is no sum: those say Total where others have a currency or a category."""
    return not any(cell.strip().startswith(("Total", "Gesamt", "Totale")) for cell in row[2:4])


def _keep(reader: Reader, line: Line, read_flow: Callable[[], CashFlow]) -> None:
    flow = reader.attempt(read_flow, line.kept)
    if flow is not None:
        reader.flows.append(flow)
        reader.flow_rows.append(line.kept())


def _settlement(own: Cells, statement: _Statement, option: str) -> CashFlow:
    symbol = own.text("symbol")
    if cells.option_name(symbol) is None:
        # The row of the option stands above that of its cash.
        symbol = option
    instrument = statement.instruments.get(_named(symbol), _Instrument())
    name = instrument.name or cells.option_name(symbol)
    contract: Contract | None = None
    if name is not None:
        currency = own.text("currency")
        told, _ = _multiplier(symbol, name.root, currency, statement, instrument)
        contract = cells.contract(
            name.expiry, name.strike, name.right, told or 1, instrument.con_id,
            name.trading_class or (name.root if currency == "USD" else ""),
        )  # fmt: skip
    return CashFlow(
        at=_evening(own.habits, own.text("datetime", "date")),
        kind=CashKind.SETTLEMENT,
        amount=own.required("proceeds"),
        currency=own.text("currency"),
        account=account_of(own.text("account")) or statement.account,
        symbol=cells.symbol(instrument.underlying or (name.underlying if name else symbol)),
        contract=contract,
        text=own.text("kind"),
        source=KIND,
    )


def _evening(habits: Habits, text: str) -> dt.datetime:
    """A moment; a day alone is its evening, when IB books what happens after the close."""
    if habits.has_time(text):
        return habits.moment(text)
    return dt.datetime.combine(habits.day(text), EVENING, dates.NEW_YORK)


def _cash(own: Cells, statement: _Statement, kind: CashKind) -> CashFlow:
    text = own.text("description")
    match = _OF_SYMBOL.match(text)
    if kind is CashKind.DIVIDEND and "lieu" in text.lower():
        kind = CashKind.IN_LIEU
    return CashFlow(
        at=_evening(own.habits, own.text("date", "datetime")),
        kind=kind,
        amount=own.required("amount"),
        currency=own.text("currency"),
        account=account_of(own.text("account")) or statement.account,
        symbol=cells.symbol(match[1]) if match else "",
        text=text,
        source=KIND,
    )


def _change(own: Cells, statement: _Statement) -> ContractChange | None:
    text = own.text("description")
    if not text or "Ca" in cells.marks(own.text("code")):
        return None
    match = _OF_SYMBOL.match(text)
    kind, ratio = change_of(text)
    return ContractChange(
        at=_evening(own.habits, own.text("datetime", "reportdate", "date")),
        kind=kind,
        symbol=cells.symbol(match[1]) if match else "",
        account=account_of(own.text("account")) or statement.account,
        ratio=ratio,
        text=text,
        source=KIND,
    )


def change_of(text: str) -> tuple[ChangeKind, float | None]:
    """What a corporate action does, and new shares for an old one, from its text."""
    if (match := _SPLIT.search(text)) is not None and float(match[2]):
        return ChangeKind.SPLIT, float(match[1]) / float(match[2])
    if (match := _STOCK_DIVIDEND.search(text)) is not None and float(match[2]):
        return ChangeKind.SPLIT, 1.0 + float(match[1]) / float(match[2])
    if re.search(r"special dividend", text, re.IGNORECASE):
        return ChangeKind.SPECIAL_DIVIDEND, None
    if re.search(r"symbol change|cusip/isin change|ticker", text, re.IGNORECASE):
        return ChangeKind.SYMBOL, None
    return ChangeKind.OTHER, None
