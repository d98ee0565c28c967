"""Sound files of every kind that the program reads, and the commands that read them."""

from __future__ import annotations

import gzip
import json
import shlex
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fuzz import processes
from benchmarks.fuzz.cases import Command

SETTINGS = """\
# Small, so that a command takes a moment.
[ib]
connect_timeout_s = 8
reconnect_pauses_s = [0.1]

[chain]
monthlies = 1
weeklies = 0
strike_range = "4"

[market]
symbols = ["SPY", "QQQ"]

[scan]
method = "thinned"
max_contracts = 40
symbols_at_once = 2

[strategies.iron_condor]
dte = [20, 45]

[portfolio]
sectors = "sectors.csv"
pins = "pins.json"

[jobs.morning]
run = ["vol SPY --stored", "explain delta", "journal list"]
log = "logs/morning.jsonl"

[jobs.odd]
run = ["scan --universe u.txt", "explain no_such_metric", "explain gamma"]
"""

FLEX = """\
"ClientAccountID","CurrencyPrimary","AssetClass","Symbol","Conid","UnderlyingSymbol","Multiplier","Strike","Expiry","Put/Call","DateTime","Quantity","TradePrice","IBCommission","Buy/Sell","IBOrderID","IBExecID","Notes/Codes","LevelOfDetail"
"U1","USD","OPT","SPY   261218P00560000","712345","SPY","100","560","20261218","P","20261102;103102","-1","2.35","-0.65","SELL","88","0001.1","","EXECUTION"
"U1","USD","OPT","SPY   261218P00550000","712346","SPY","100","550","20261218","P","20261102;103102","1","1.10","-0.65","BUY","88","0001.2","","EXECUTION"
"U1","USD","OPT","SPY   261218P00560000","712345","SPY","100","560","20261218","P","20261110;110000","1","1.20","-0.65","BUY","89","0001.3","","EXECUTION"
"U1","USD","OPT","SPY   261218P00550000","712346","SPY","100","550","20261218","P","20261110;110000","-1","0.50","-0.65","SELL","89","0001.4","","EXECUTION"
"U1","USD","CASH","EUR.USD","1","","","","","","20261102;090000","1000","1.1","-2","BUY","","0009","","EXECUTION"
"U1","USD","STK","SPY","756733","","1","","","","20261103;162000","100","560","0","BUY","","0001.5","A","EXECUTION"
"""  # noqa: E501

ACTIVITY = """\
Statement,Header,Field Name,Field Value
Statement,Data,Title,Activity Statement
Trades,Header,DataDiscriminator,Asset Category,Currency,Symbol,Date/Time,Quantity,T. Price,C. Price,Proceeds,Comm/Fee,Basis,Realized P/L,MTM P/L,Code
Trades,Data,Order,Equity and Index Options,USD,QQQ 18DEC26 500 P,"2026-11-03, 10:31:02",-2,2.35,2.3,470,-1.3,-468.7,0,10,O
Trades,Data,Order,Equity and Index Options,USD,QQQ 18DEC26 490 P,"2026-11-03, 10:31:02",2,1.95,1.9,-390,-1.3,391.3,0,10,O
Trades,SubTotal,,Equity and Index Options,USD,QQQ 18DEC26 500 P,,-2,,,470,-1.3,-468.7,0,10,
Trades,Data,Order,Equity and Index Options,USD,QQQ 18DEC26 500 P,"2026-11-12, 16:20:00",2,1,1,-200,-1.3,468.7,267,0,C
Trades,Data,Order,Stocks,USD,BRK B,"2026-11-04, 11:00:00","1,200",480.5,480,-576600,-6,576606,0,0,O
Trades,Data,Order,Forex,EUR,EUR.USD,"2026-11-03, 09:00:00",1000,1.1,,,-2,,,,
"""  # noqa: E501

AFTERWARDS = """\
AssetClass,Symbol,UnderlyingSymbol,Multiplier,Strike,Expiry,Put/Call,DateTime,Quantity,TradePrice,IBCommission,IBOrderID,IBExecID
OPT,XLF X,XLF,100,50,20261218,P,20261116;103000,-1,1.10,-0.65,901,after.1
OPT,XLF X,XLF,100,48,20261218,P,20261116;103000,1,0.60,-0.65,901,after.2
"""
"""Trades of a day later: what was imported before must never refuse them."""

ORIGINAL_JOURNAL = [
    {
        "TradeID": "17", "DatumIn": "2026-06-18", "DatumUit": None, "Symbool": "SPY",
        "Type": "Iron Condor", "Expiry": "2026-12-18", "Status": "Open", "Premium": 1.2,
        "InitMargin": 1500.0, "StopPct": 50, "IV_Entry": 18.5, "Spot": 600.5,
        "Exitstrategie": "Sluiten onder ~580 of boven ~620, bij $0.60 of 10 dagen voor expiratie",
        "Legs": [
            {"strike": 570, "type": "PUT", "action": "BUY", "qty": 2},
            {"strike": 580, "type": "PUT", "action": "SELL", "qty": 2, "conId": 712345},
            {"strike": 620, "type": "CALL", "action": "SELL", "qty": 2},
            {"strike": 630, "type": "CALL", "action": "BUY", "qty": 2},
        ],
        "Greeks_Entry": {"Delta": -0.4, "Gamma": -3.0, "Vega": -12.0, "Theta": 6.0},
        "Snapshots": [{"date": "20260620", "spot": 601.0, "iv30": 17.9, "note": "rustig"}],
    },
    {
        "TradeID": "18", "DatumIn": "2026-05-19", "DatumUit": "2026-06-02", "Symbool": "QQQ",
        "Type": "Short Put", "Expiry": "2026-06-20", "Status": "Gesloten", "Premium": 1.1,
        "ExitPrice": 0.4, "Resultaat": 70.0, "Exitstrategie": "op gevoel",
        "Legs": [{"strike": 560, "type": "PUT", "action": "SELL", "qty": 1}],
    },
]  # fmt: skip

TEXTS = {
    "tomic.toml": SETTINGS,
    "flex.csv": FLEX,
    "activity.csv": ACTIVITY,
    "afterwards.csv": AFTERWARDS,
    "original.json": json.dumps(ORIGINAL_JOURNAL, indent=1),
    "earnings.csv": "symbol,date\nSPY,2027-01-28\nQQQ,2027-01-25\nAAPL,2027-01-29\n",
    "dividends.csv": "symbol,ex_date,amount\nSPY,2026-12-18,1.75\nQQQ,2026-12-21,0.80\n",
    "sectors.csv": "symbol,sector\nSPY,Index\nQQQ,Index\nAAPL,Technology\nIWM,Index\nXLF,Finance\n",
    "pins.json": json.dumps(
        [{"name": "mine", "legs": "-1 SPY 2026-12-18 560P", "opened": "2026-11-02"}], indent=1
    ),
    "u.txt": "SPY\n# a remark\nQQQ\n\nXLF\n",
    "unreadable.txt": "nobody reads this\n",
}

_BULL_PUT = "short_put_spread SPY 560/550 2026-12-18"
_MAKING = (
    "chain SPY --demo --no-export --json > chain.json",
    "chain SPY --demo --out made",
    "record session.jsonl chain SPY --demo --no-export",
    "prices --demo",
    "scan SPY --demo --strategy iron_condor --no-export --json > scan.json",
    "portfolio --demo",
    f"journal add '{_BULL_PUT}' --price 1.5 --demo",
    f"journal add '{_BULL_PUT}' --price 1.5 --offline",
    "journal add 'short_put QQQ 500 2026-12-18' --price 2.1 --offline",
    "journal close 2 --price 0.4 --offline",
    "journal note 1 first",
    "store import original.db",
    "store import earnings.csv dividends.csv",
    "journal export --out own.json",
    "store backup copy.db",
)
"""Command lines that make the rest of the folder, as a user would."""


@dataclass(frozen=True, slots=True)
class Specimen:
    """A sound file and how it is read."""

    kind: str
    path: str
    readers: tuple[tuple[str, ...], ...]
    """Command lines; each is tried alone, against the mutated file under the same name."""
    then: tuple[Command, ...] = ()
    """Commands that must go well afterwards, whatever became of the file."""


_CHAIN_READERS = (
    ("chain", "SPY", "--replay", "{}", "--no-export"),
    ("scan", "--chain", "{}", "--no-export"),
    ("why-not", "SPY", _BULL_PUT, "--chain", "{}"),
    ("scan", "SPY", "--replay", "{}", "--as-of", "2026-11-20T15:00", "--no-export"),
)
_AFTER_TRADES = (
    Command(("journal", "import", "afterwards.csv"), codes=(0,)),
    Command(("journal", "list", "--all"), codes=(0,)),
)
_STORE_READERS = (
    ("journal", "list", "--all"), ("journal", "show", "1"), ("journal", "stats"),
    ("journal", "note", "1", "more"), ("journal", "history", "1"), ("journal", "export"),
    ("store", "info"), ("store", "check"), ("store", "backup", "copy.db"),
    ("vol", "SPY", "--stored"), ("journal", "import", "flex.csv"),
    ("store", "import", "earnings.csv"), ("journal", "check", "--offline"),
)  # fmt: skip
_DEMO_STORE_READERS = (
    ("vol", "SPY", "--stored", "--demo"), ("vol", "SPY", "--history", "--demo"),
    ("scan", "SPY", "--demo", "--strategy", "iron_condor", "--no-export"),
    ("prices", "SPY", "--demo"), ("journal", "list", "--demo"), ("show", "{proposal}", "--demo"),
    ("report", "journal", "--html", "j.html", "--demo"), ("journal", "stats", "--demo"),
    ("journal", "check", "--demo"), ("portfolio", "--demo"),
)  # fmt: skip

SPECIMENS = (
    Specimen(
        "settings",
        "tomic.toml",
        (
            ("config", "check"), ("config", "show", "--origin"), ("strategies",),
            ("chain", "SPY", "--demo", "--no-export"), ("run",), ("run", "odd", "--demo"),
            ("config", "set", "chain.min_dte", "20"), ("journal", "list"),
            ("portfolio", "--demo"), ("vol", "SPY", "--stored"),
        ),
    ),
    Specimen("chain CSV", "chain.csv", (*_CHAIN_READERS, ("store", "check", "{}"))),
    Specimen("chain CSV of the original", "option_chain_SPY_20261120_150000.csv", _CHAIN_READERS),
    Specimen("chain JSON", "chain.json", _CHAIN_READERS),
    Specimen(
        "session",
        "session.jsonl",
        (("chain", "SPY", "--replay", "{}", "--no-export"), ("doctor", "--replay", "{}")),
    ),
    Specimen(
        "session, compressed",
        "session.jsonl.gz",
        (("chain", "SPY", "--replay", "{}", "--no-export"), ("doctor", "--replay", "{}")),
    ),
    Specimen("store", "data/volatility.db", _STORE_READERS),
    Specimen("store of a demo", "data/demo.db", _DEMO_STORE_READERS),
    Specimen(
        "original's database",
        "original.db",
        (("store", "import", "{}"),),
        (Command(("store", "info"), codes=(0,)), Command(("vol", "S0", "--stored"))),
    ),
    Specimen("original's journal", "original.json", (("journal", "import", "{}"),), _AFTER_TRADES),
    Specimen("broker's Flex query", "flex.csv", (("journal", "import", "{}"),), _AFTER_TRADES),
    Specimen("broker's statement", "activity.csv", (("journal", "import", "{}"),), _AFTER_TRADES),
    Specimen("own journal", "own.json", (("journal", "import", "{}"),), _AFTER_TRADES),
    Specimen(
        "earnings",
        "earnings.csv",
        (("store", "import", "{}"),),
        (Command(("journal", "check", "--offline")), Command(("store", "info"), codes=(0,))),
    ),
    Specimen(
        "dividends",
        "dividends.csv",
        (("store", "import", "{}"),),
        (Command(("store", "info"), codes=(0,)), Command(("vol", "SPY", "--stored"))),
    ),
    Specimen(
        "sectors",
        "sectors.csv",
        (("portfolio", "--demo"), ("portfolio", "--file", "book.json", "--json")),
    ),
    Specimen(
        "pins", "pins.json", (("portfolio", "--file", "book.json"), ("portfolio", "--demo"))
    ),
    Specimen(
        "universe",
        "u.txt",
        (
            ("scan", "--universe", "{}", "--demo", "--strategy", "iron_condor", "--no-export"),
            ("scan", "--universe", "{}", "--timeout", "3"),
        ),
    ),
    Specimen(
        "saved book",
        "book.json",
        (
            ("portfolio", "--file", "{}"), ("portfolio", "--file", "{}", "--json", "--stress"),
            ("portfolio", "--file", "{}", "--by", "expiry", "--format", "csv"),
            ("portfolio", "--file", "{}", "--with", _BULL_PUT),
        ),
    ),
    Specimen(
        "lock",
        "data/demo.db.prices.lock",
        (("prices", "SPY", "--demo"), ("vol", "SPY", "--demo")),
    ),
)  # fmt: skip


_ATTEMPTS, _NO_GATEWAY = 5, 4


def prepare(home: Path, temporary: Path) -> None:
    """
    Make a folder as a user may have it, with every specimen in it.

    Raises:
        RuntimeError: The program cannot make its own files.
    """
    for name, text in TEXTS.items():
        (home / name).write_text(text, encoding="utf-8")
    original_database(home / "original.db")
    # As a case that closed them leaves them, so that nothing need be made good.
    (home / "folder").mkdir(mode=0o700)
    (home / "unreadable.txt").chmod(0o600)
    if processes.is_root():
        for path in (home, *home.rglob("*")):
            shutil.chown(path, processes.NOBODY, processes.NOBODY)
    for line in _MAKING:
        typed, _, target = line.partition(" > ")
        # On a busy machine even the demo's gateway can be too slow to greet.
        for _ in range(_ATTEMPTS):
            outcome = processes.run(Command(tuple(shlex.split(typed))), home, temporary)
            if outcome.code != _NO_GATEWAY:
                break
        if outcome.code:
            raise RuntimeError(f"tomic {line} ended with {outcome.code}: {outcome.stderr}")
        if target:
            (home / target).write_text(outcome.stdout, encoding="utf-8")
    chain = next((home / "made").rglob("option_chain_*.csv"))
    shutil.copyfile(chain, home / "chain.csv")
    original_chain(chain, home / "option_chain_SPY_20261120_150000.csv")
    shutil.rmtree(home / "made")
    shutil.copyfile(home / "data" / "portfolio-demo.json", home / "book.json")
    shutil.copyfile(home / "data" / "portfolio-demo.json", home / "data" / "portfolio.json")
    packed = gzip.compress((home / "session.jsonl").read_bytes(), mtime=0)
    (home / "session.jsonl.gz").write_bytes(packed)


def proposals(home: Path) -> list[str]:
    """Numbers of the proposals that the demo's scan stored."""
    document: Mapping[str, list[dict[str, str]]] = json.loads((home / "scan.json").read_text())
    return [one["id"] for one in document["proposals"]]


def original_chain(own: Path, target: Path) -> None:
    """The columns of the original program alone, as its own files have them."""
    rows = [line.split(",") for line in own.read_text(encoding="utf-8").splitlines()]
    kept = [name for name in rows[0] if name in _ORIGINAL]
    places = [rows[0].index(name) for name in kept]
    lines = [",".join(row[place] for place in places) for row in rows]
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")


_ORIGINAL = {
    "Expiry", "Type", "Strike", "Bid", "Ask", "Close", "IV", "Delta", "Gamma", "Vega", "Theta",
    "Volume", "OpenInterest",
}  # fmt: skip


def original_database(path: Path) -> None:
    """A small volatility.db as the original made it."""
    with closing(sqlite3.connect(path)) as db:
        db.execute(
            "CREATE TABLE PriceHistory (symbol TEXT NOT NULL, date TEXT NOT NULL,"
            " close REAL NOT NULL, volume INTEGER, atr REAL, PRIMARY KEY (symbol, date))"
        )
        db.execute(
            "CREATE TABLE VolStats (symbol TEXT NOT NULL, date TEXT NOT NULL, iv REAL, hv30 REAL,"
            " hv60 REAL, hv90 REAL, iv_rank REAL, iv_percentile REAL, PRIMARY KEY (symbol, date))"
        )
        for number in range(120):
            day = f"2026-{5 + number // 28:02d}-{1 + number % 28:02d}"
            price = 100.0 + number % 7
            db.execute("INSERT INTO PriceHistory VALUES ('S0', ?, ?, 1000, 2.5)", (day, price))
            db.execute(
                "INSERT INTO VolStats VALUES ('S0', ?, 21.5, 18.0, 20.5, 22.0, 40.0, 45.0)", (day,)
            )
        db.commit()
