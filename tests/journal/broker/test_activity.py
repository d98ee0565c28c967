"""Activity statements: languages, sections in any order, and what they lack."""

from __future__ import annotations

import datetime as dt

import pytest

from tomic.errors import BadFile
from tomic.journal import broker, executions
from tomic.journal.broker import BrokerFile
from tomic.models.journal import Action, CashKind, ChangeKind

HEADER = (
    "Trades,Header,DataDiscriminator,Asset Category,Currency,Symbol,Date/Time,Quantity,T. Price,"
    "C. Price,Proceeds,Comm/Fee,Basis,Realized P/L,MTM P/L,Code"
)
OPTIONS = "Equity and Index Options"
SOLD = (
    f'Trades,Data,Order,{OPTIONS},USD,XYZ 19DEC25 50 P,"2025-11-03, 10:00:00",-1,1.00,1,100,-1.00,'
    ",0,0,O"
)
INSTRUMENTS = (
    "Financial Instrument Information,Header,Asset Category,Symbol,Description,Conid,Underlying,"
    "Listing Exch,Multiplier,Expiry,Delivery Month,Type,Strike,Code"
)


def read(*lines: str) -> BrokerFile:
    return broker.parse("x.csv", "\n".join(lines))


def row(symbol: str, *, price: str = "1", proceeds: str = "100", **more: str) -> str:
    currency, at = more.get("currency", "USD"), more.get("at", "2025-11-03, 10:00:00")
    kind, code = more.get("kind", OPTIONS), more.get("code", "O")
    quantity = more.get("quantity", "-1")
    return (
        f'Trades,Data,Order,{kind},{currency},{symbol},"{at}",{quantity},{price},1,{proceeds},-1,'
        f",0,0,{code}"
    )


# -- languages -----------------------------------------------------------------------------------

LANGUAGES = {
    "de": ("Transaktionen", "Vermögenswertkategorie,Währung,Symbol,Datum/Zeit,Menge,T.-Kurs,"
           "Schlusskurs,Erlös,Prov./Gebühr,Basis,Realisierter G&V,MTM-G&V,Code",
           "Aktien- und Indexoptionen", "Aktien"),
    "de later": ("Transaktionen", "Anlagekategorie,Währung,Symbol,Datum/Zeit,Menge,T.-Kurs,"
                 "Schlusskurs,Erträge,Provision/Gebühr,Basis,Realisierter G/V,MTM G/V,Code",
                 "Aktien- und Indexoptionen", "Aktien"),
    "fr": ("Transactions", "Catégorie d'actifs,Devise,Symbole,Date/Heure,Quantité,Prix trans.,"
           "Cours de clôt.,Produit,Comm/Tarif,Base,P/L réalisé,P/L MTM,Code",
           "Options sur actions et indices", "Actions"),
    "es": ("Operaciones", "Categoría de activo,Divisa,Símbolo,Fecha/Hora,Cantidad,T. Precio,"
           "C. Precio,Productos,Tarifa/com.,Básico,Realizado P/G,MTM P/G,Código",
           "Opciones sobre acciones e índices", "Acciones"),
    "es later": ("Operaciones", "Categoría de activo,Divisa,Símbolo,Fecha/Hora,Cantidad,"
                 "Precio trans.,Precio de cier.,Productos,Tarifa/com.,Básico,PyG realizadas,"
                 "MTM P/G,Código", "Opciones sobre acciones e índices", "Acciones"),
    "it": ("Dettaglio eseguiti", "Tipo di attivo,Valuta,Simbolo,Data/ora,Quantità,Prezzo trans.,"
           "Prezzo di chius.,Ricavi,Comm/Tariffa,Base,P/L realizzato,P/L MTM,Codice",
           "Opzioni su indici e su azioni", "Azioni"),
    "ru": ("Сделки", "Класс актива,Валюта,Символ,Дата/Время,Количество,Цена транзакции,"
           "Цена закрытия,Выручка,Комиссия/плата,Базис,Реализованная П/У,Рыноч. переоценка П/У,Код",
           "Опционы на акции и индексы", "Акции"),
    "zh": ("交易", "资产分类,货币,代码,日期/时间,数量,交易价格,收盘价格,收益,佣金/税,基础,"
           "已实现的损益,按市值计算的损益,代码", "股票和指数期权", "股票"),
    "nl": ("Transacties", "Activacategorie,Valuta,Symbool,Datum/Tijd,Hoeveelheid,T. Koers,"
           "Slotkoers,Opbrengst,Comm./Kosten,Basis,Gerealiseerde W/V,MTM W/V,Code",
           "Aandelen- en indexopties", "Aandelen"),
    "ja": ("取引", "資産カテゴリー,通貨,銘柄,日付/時間,数量,取引価格,終値,受取金,手数料,取得価額,"
           "実現損益,値洗い損益,コード", "株式・指数オプション", "株式"),
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_languages(language):
    """The same rows give the same trades, whatever the statement's language."""
    section, columns, options, stocks = LANGUAGES[language]
    codes = "A;O"

    found = read(
        "Statement,Header,x,y",
        f"{section},Header,DataDiscriminator,{columns}",
        f'{section},Data,Order,{options},USD,XYZ 19DEC25 50 P,"2025-11-03, 10:00:00",-2,1.05,1,'
        "210,-1.25,,0,0,O",
        f'{section},Data,Order,{stocks},USD,BRK B,"2025-12-19, 16:20:00","1,200",480.5,480,'
        f"-576600,0,,0,0,{codes}",
        f'{section},Data,Order,Forex,USD,EUR.USD,"2025-12-19, 16:20:00",1000,1.1,,,,,,,',
        f"{section},SubTotal,,{options},USD,XYZ,,-2,,,210,-1.25,,0,0,",
    )

    sold, stock = found.executions
    assert (sold.symbol, sold.contract.name, sold.contract.multiplier) == (
        "XYZ", "50P 2025-12-19", 100,
    )  # fmt: skip
    assert (sold.quantity, sold.price, sold.commission, sold.currency) == (-2.0, 1.05, 1.25, "USD")
    assert sold.opens is True
    assert (stock.symbol, stock.quantity, stock.price) == ("BRK.B", 1200.0, 480.5)
    assert (stock.action, stock.contract.is_stock) == (Action.ASSIGN, True)
    assert (dict(found.other_assets), found.odd) == ({"Forex": 1}, ())
    assert found.other_rows["SubTotal"] == 1
    by_position = language in ("nl", "ja", "ru", "zh")
    assert any("by their position" in note for note in found.notes) == by_position


@pytest.mark.parametrize("language", ["fr", "nl", "ru"])
def test_a_column_of_accounts(language):
    """Consolidated statements have an account behind the currency, and an exchange at times."""
    section, columns, options, _ = LANGUAGES[language]
    names = columns.split(",")
    names.insert(2, {"fr": "Compte"}.get(language, "Счет" if language == "ru" else "Rekening"))

    found = read(
        f"{section},Header,DataDiscriminator,{','.join(names)}",
        f'{section},Data,Order,{options},EUR,U7654321,XYZ 19DEC25 50 P,"2025-11-03, 10:00:00",-2,'
        "1.05,1,210,-1.25,,0,0,O",
    )

    (sold,) = found.executions
    assert (sold.account, sold.currency, sold.symbol) == ("U7654321", "EUR", "XYZ")


@pytest.mark.parametrize(
    "kind",
    [
        "Options On Futures", "Options sur contrats à terme", "Opciones sobre futuros",
        "Opzioni su future", "Futures-Optionen",
    ],
)  # fmt: skip
def test_futures_options_are_kept_aside(kind):
    """In any language: they are no options on shares, and their exercise is followed nowhere."""
    found = read(HEADER, row("ES 19DEC25 5000 P", kind=kind))

    assert (found.executions, found.other_assets) == ((), {})
    assert [one.reason for one in found.odd] == [executions.ON_FUTURE]


def test_other_kinds_are_counted():
    """Each by its name; a warrant is neither an option nor shares."""
    kinds = ["Futures", "Bonds", "CFDs", "Warrants", "Optionsscheine", "Cryptocurrencies"]

    found = read(HEADER, *(row("ES 19DEC25 5000 P", kind=kind) for kind in kinds))

    assert found.executions == ()
    assert found.other_assets == dict.fromkeys(kinds, 1)
    assert "6 rows (Futures 1, Bonds 1" in next(found.say())


# -- multipliers and contracts -------------------------------------------------------------------


def test_the_multiplier_of_the_instruments_section():
    """It is read wherever the section stands, with underlying, contract id and OCC symbol."""
    told = (
        f"Financial Instrument Information,Data,{OPTIONS},"
        '"OPEN  251219C00005000, OPEN1 251219C00005000",OPEN1 19DEC25 5 C,77,OPEN,CBOE,50,'
        "2025-12-19,2025-12,C,5,"
    )
    sold = row("OPEN1 19DEC25 5 C", proceeds="50")

    (before,) = read(INSTRUMENTS, told, HEADER, sold).executions
    (behind,) = read(HEADER, sold, INSTRUMENTS, told).executions

    assert before == behind
    assert (before.symbol, before.contract.multiplier, before.contract.con_id) == ("OPEN", 50, 77)


def test_the_multiplier_of_the_proceeds():
    """Without that section price and proceeds tell it, also for a row at a price of 0."""
    found = read(
        HEADER,
        row("OESX 19DEC25 5200 P", price="60", proceeds="600", currency="EUR"),
        row("OESX 19DEC25 5200 P", price="0", proceeds="0", currency="EUR", quantity="1",
            code="C;Ep", at="2025-12-19, 16:20:00"),
    )  # fmt: skip

    assert [each.contract.multiplier for each in found.executions] == [10, 10]
    assert found.notes == ()


def test_a_multiplier_that_nothing_tells():
    """An American option's is 100, which is said; another's is not known, nor made up."""
    ends = {"price": "0", "proceeds": "0", "quantity": "1", "code": "C;Ep"}

    found = read(HEADER, row("XYZ 19DEC25 50 P", **ends),
                 row("OESX 19DEC25 5200 P", currency="EUR", **ends))  # fmt: skip

    american, european = found.executions
    assert (american.contract.multiplier, american.lacks_multiplier) == (100, False)
    assert european.lacks_multiplier
    assert any("no multiplier of XYZ in the file: 100" in note for note in found.notes)


@pytest.mark.parametrize(
    ("symbol", "trading_class", "expiry"),
    [
        ("SPX 18DEC26 5950 P", "SPX", dt.date(2026, 12, 17)),
        ("SPXW 17DEC26 5950 P", "SPXW", dt.date(2026, 12, 17)),
        ("SPX   261218P05950000", "SPX", dt.date(2026, 12, 17)),
    ],
)
def test_classes_of_an_index(symbol, trading_class, expiry):
    """SPX is not SPXW, and its symbol tells the day of settlement, not the last of trading."""
    (sold,) = read(HEADER, row(symbol)).executions

    assert (sold.symbol, sold.contract.trading_class) == ("SPX", trading_class)
    assert sold.contract.expiry == expiry


def test_numbers_that_contradict_each_other():
    """A row that was spoilt on its way is kept aside with the reason."""
    (odd,) = read(HEADER, row("XYZ 19DEC25 50 P", quantity="-2", price="105", proceeds="210"),
                  SOLD).odd  # fmt: skip

    assert "proceeds of 210 are not -2 times 105 times 100" in odd.reason


# -- shapes --------------------------------------------------------------------------------------


def test_a_moment_without_its_quotation_marks():
    """A file that lost them has one cell more; the trade is the same."""
    (sold,) = read(HEADER, SOLD.replace('"', "")).executions

    assert sold == read(HEADER, SOLD).executions[0]


def test_orders_for_one_symbol_and_parts_for_another():
    """Each symbol has its own level: nothing counts twice, nothing is lost."""
    part = SOLD.replace("Data,Order", "Data,Trade")
    lot = SOLD.replace("Data,Order", "Data,ClosedLot")
    other = part.replace("XYZ", "ABC")

    found = read(HEADER, SOLD, part, lot, other)

    assert [each.symbol for each in found.executions] == ["XYZ", "ABC"]
    assert found.other_levels == {"Trade": 1, "ClosedLot": 1}


@pytest.mark.parametrize(
    ("text", "account"),
    [
        ("U1234567", "U1234567"),
        ("U***4567", ""),
        ("U1234567 (Custom Consolidated)", ""),
        ("DU7654321", "DU7654321"),
    ],
)
def test_the_account_of_the_statement(text, account):
    """It stands in a section of its own; a masked one, or that of several, is none."""
    (sold,) = read(
        "Account Information,Header,Field Name,Field Value",
        f"Account Information,Data,Account,{text}",
        HEADER,
        SOLD,
    ).executions

    assert sold.account == account


def test_settlements_dividends_and_splits():
    """Cash beside the trades is a flow, a split a change; sums are neither."""
    found = read(
        HEADER,
        row("SPX 19DEC25 6000 P", price="40", proceeds="4000", code="O"),
        "Option Exercises, Assignments and Expirations,Header,x".replace(
            "Option Exercises, Assignments and Expirations",
            '"Option Exercises, Assignments and Expirations"',
        ).replace(",x", ",Asset Category,Currency,Symbol,Date/Time,Transaction Type,Quantity,"
                  "T. Price,C. Price,Proceeds,Comm/Tax,Basis,Realized P/L,MTM P/L"),
        f'"Option Exercises, Assignments and Expirations",Data,{OPTIONS},USD,SPX 19DEC25 6000 P,'
        '"2025-12-19, 16:20:00",Assignment,1,0,0,0,0,0,0,0',
        f'"Option Exercises, Assignments and Expirations",Data,{OPTIONS},USD,SPX,'
        '"2025-12-19, 16:20:00",Cash Settlement,0,0,0,-1234.5,0,0,0,0',
        "Dividends,Header,Currency,Date,Description,Amount",
        "Dividends,Data,USD,2025-12-22,XYZ(US123) Cash Dividend USD 0.50 per Share,50",
        "Dividends,Data,USD,2025-12-22,XYZ(US123) Payment in Lieu of Dividend,5",
        "Dividends,Data,Total,,,55",
        "Corporate Actions,Header,Asset Category,Currency,Report Date,Date/Time,Description,"
        "Quantity,Proceeds,Value,Realized P/L,Code",
        'Corporate Actions,Data,Stocks,USD,2025-12-30,"2025-12-29, 20:25:00",'
        '"XYZ(US123) Split 4 for 1 (XYZ, NAME, US123)",300,0,0,0,',
        "Corporate Actions,Data,Total,,,,,,0,0,0,",
    )  # fmt: skip

    settled, dividend, in_lieu = found.cash_flows
    assert (settled.kind, settled.amount, settled.symbol) == (CashKind.SETTLEMENT, -1234.5, "SPX")
    assert settled.contract == found.executions[0].contract
    assert (dividend.kind, dividend.amount, dividend.symbol) == (CashKind.DIVIDEND, 50.0, "XYZ")
    assert in_lieu.kind is CashKind.IN_LIEU
    (split,) = found.contract_changes
    assert (split.kind, split.symbol, split.ratio) == (ChangeKind.SPLIT, "XYZ", 4.0)
    assert found.odd == ()


def test_other_sections_are_counted():
    """A statement has dozens of them; each is named with its rows."""
    found = read(
        "Open Positions,Header,DataDiscriminator,Asset Category,Currency,Symbol,Quantity",
        "Open Positions,Data,Summary,Stocks,USD,XYZ,100",
        HEADER,
        SOLD,
    )

    assert found.other_rows == {"Open Positions": 1}
    assert list(found.say()) == ["1 row (Open Positions 1) without trades left out"]


def test_a_statement_without_trades():
    """It is refused with what to export instead."""
    with pytest.raises(BadFile, match=r"could not be read \(line 1 .*; export Trades at level"):
        read("Statement,Header,Field Name,Field Value", "Statement,Data,Title,Activity Statement")
