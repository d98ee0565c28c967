"""The journal in and out of files, executions, corrections and links."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from support.journal_entries import CONDOR, at, condor
from support.journal_market import Quotes, journal
from tomic.errors import BadFile, StoreError, UsageError
from tomic.journal import campaign
from tomic.models.journal import Action, EntryStatus
from tomic.store import Database
from tomic.workflows.journal import entries as journals, executions, files, trades
from tomic.workflows.journal.entries import Correction
from tomic.workflows.journal.trades import TradeTicket

LEGACY = [
    {
        "TradeID": "7", "DatumIn": "2025-05-19", "DatumUit": "2025-06-02", "Symbool": "SPY",
        "Type": "Short Put", "Expiry": "2025-06-20", "Status": "Gesloten", "Premium": 1.1,
        "ExitPrice": 0.4, "Resultaat": 70.0, "Exitstrategie": "op gevoel", "Eigen": {"x": [1]},
        "Legs": [{"strike": 560, "type": "PUT", "action": "SELL", "qty": 1}],
    },
    {
        "TradeID": "9", "DatumIn": "20250520", "Symbool": "QQQ", "Type": "Short Put Spread",
        "Expiry": "20250718", "Status": "Open", "Premium": 1.5, "Exitstrategie": "onder ~500",
        "Legs": [
            {"strike": 500, "type": "PUT", "action": "SELL", "qty": 1},
            {"strike": 490, "type": "PUT", "action": "BUY", "qty": 1},
        ],
    },
]  # fmt: skip

FLEX = """\
AssetClass,Symbol,UnderlyingSymbol,Multiplier,Strike,Expiry,Put/Call,DateTime,Quantity,TradePrice,IBCommission,IBOrderID,IBExecID
OPT,SPY X,SPY,100,560,20250620,P,20250519;103000,-1,3.10,-0.65,1,e1
OPT,SPY X,SPY,100,550,20250620,P,20250519;103000,1,1.60,-0.65,1,e2
OPT,SPY X,SPY,100,560,20250620,P,20250602;110000,1,1.20,-0.65,2,e3
OPT,SPY X,SPY,100,550,20250620,P,20250602;110000,-1,0.50,-0.65,2,e4
"""


@pytest.fixture
async def store(tmp_path):
    """An open, empty store."""
    async with Database(tmp_path / "store.db") as db:
        yield db


@pytest.fixture
def book(store):
    """A journal that asks nobody."""
    return journal(store, None)


@pytest.fixture
def later(store):
    """The same a month later, when everything in the files has happened."""
    return journal(store, None, now=at(30))


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


async def add(book, text="short_put_spread SPY 560/550 2025-06-20", price="1.50"):
    return (
        await trades.add(
            book, trades.from_text(text), TradeTicket(price=price), trades.EntryNotes()
        )
    ).entry


# -- the original ----------------------------------------------------------------------------


async def test_the_originals_journal(later, tmp_path):
    """Numbers stay, the next one is the highest plus one, results are computed."""
    path = write(tmp_path, "journal.json", json.dumps(LEGACY))

    found = await files.import_file(later, path)
    new = await add(later)

    assert found.added == (7, 9)
    assert "TradeID 7: exit text not fully understood: 'op gevoel'" in found.notes
    assert new.id == 10
    closed, still = await journals.load(later, 7), await journals.load(later, 9)
    assert campaign.result(closed) == pytest.approx(70.0)
    assert closed.original == LEGACY[0]
    assert (still.rules.spot_below, campaign.first_expiry(still).isoformat()) == (
        500.0,
        "2025-07-18",
    )


async def test_importing_again_adds_nothing(later, tmp_path):
    """Entries that are there already are known by number, day and symbol."""
    path = write(tmp_path, "journal.json", json.dumps(LEGACY))
    await files.import_file(later, path)

    again = await files.import_file(later, path)

    assert (again.added, again.known) == ((), 2)


async def test_a_number_that_is_taken(later, tmp_path):
    """An entry of one's own keeps its number; the imported one gets a new one, and it is said."""
    for _ in range(7):
        await add(later)

    found = await files.import_file(later, write(tmp_path, "j.json", json.dumps(LEGACY)))

    assert found.added == (9, 10)
    assert "TradeID 7: the number is taken here; it gets a new one" in found.notes
    assert (await journals.load(later, 10)).original["TradeID"] == "7"
    assert campaign.premium(await journals.load(later, 7)) == 150.0


async def test_unknown_fields_survive_a_rewrite(later, tmp_path):
    """Imported, changed and written again, the file has every field it came with."""
    await files.import_file(later, write(tmp_path, "j.json", json.dumps(LEGACY)))
    await journals.add_note(later, 7, "a note")

    written = json.loads(await files.export(later, form="original"))

    assert [one["TradeID"] for one in written] == ["7", "9"]
    assert written[0]["Eigen"] == {"x": [1]}
    assert all(set(old) <= set(new) for old, new in zip(LEGACY, written, strict=True))


async def test_what_has_not_happened_is_kept_aside(later, tmp_path):
    """An entry of the future is no entry yet, in the original's file and in our own alike."""
    ahead = {**LEGACY[1], "TradeID": "11", "DatumIn": "2025-12-01"}
    path = write(tmp_path, "j.json", json.dumps([LEGACY[0], ahead]))

    found = await files.import_file(later, path)

    assert (found.added, found.aside) == ((7,), 1)
    (row,) = await later.store.journal.unread_rows()
    assert "entry 11 has something of 2025-12-01, which lies in the future" in row.reason
    document = {"schema": files.SCHEMA, "entries": [json.loads(row.text)]}
    own = await files.import_file(later, write(tmp_path, "own.json", json.dumps(document)))
    assert (own.added, own.aside) == ((), 1)


@pytest.mark.parametrize(
    "change",
    [
        {"Legs": {"a": 1}}, {"Legs": ["x"]}, {"Legs": 5}, {"TradeID": "9" * 30},
        {"Premium": "1e999"}, {"Symbool": 7},
        {"Legs": [{**LEGACY[0]["Legs"][0], "conId": float("inf")}]},
    ],
)  # fmt: skip
async def test_an_odd_entry_of_the_original_costs_only_itself(later, tmp_path, change):
    """Whatever stands in one entry, the other is taken over."""
    odd = {**LEGACY[1], **change}
    path = write(tmp_path, "j.json", json.dumps([odd, LEGACY[0]]))

    found = await files.import_file(later, path)

    assert 7 in found.added


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"schema": "tomic.journal/1", "entries": [{"symbol": 5, "opened_at": "2025-05-19T10Z"}]}',
        '{"schema": "tomic.journal/1", "entries": [{"id": 9223372036854775808, "symbol": "SPY",'
        ' "opened_at": "2025-05-19T10:00Z"}]}',
    ],
)  # fmt: skip
async def test_files_that_are_no_journal_are_refused(later, tmp_path, text):
    """Brackets without end, a symbol that is a number, a number that no store holds."""
    with pytest.raises(BadFile, match=r"x\.json: "):
        await files.import_file(later, write(tmp_path, "x.json", text))


# -- our own ---------------------------------------------------------------------------------


async def test_an_export_is_imported_whole(tmp_path):
    """Everything goes into the JSON and comes back out of it in another store."""
    quotes = Quotes()
    async with Database(tmp_path / "one.db") as first:
        book = journal(first, quotes)
        await trades.add(
            book, trades.from_text("iron_condor SPY 550/560/620/630 2025-06-20"), TradeTicket(),
            trades.EntryNotes(reason="rich", tags=("a", "b")),
        )  # fmt: skip
        quotes.at = at(9)
        await trades.close(book, 1, TradeTicket())
        before = await journals.load(book, 1)
        path = write(tmp_path, "export.json", await files.export(book))

    async with Database(tmp_path / "two.db") as second:
        book = journal(second, None, now=at(30))
        found = await files.import_file(book, path)
        again = await files.import_file(book, path)
        after = await journals.load(book, 1)

    assert (found.added, again.added, again.known) == ((1,), (), 1)
    assert after.model_copy(update={"revision": before.revision}) == before


async def test_entries_as_csv(book):
    """A row per entry with what was known and what it came to."""
    await add(book)
    await trades.close(book, 1, TradeTicket(price="0.40"))

    (row,) = csv.DictReader(io.StringIO(await files.export(book, form="csv")))

    assert list(row) == list(files.ENTRY_COLUMNS)
    assert (row["id"], row["symbol"], row["status"], row["structures"]) == (
        "1",
        "SPY",
        "closed",
        "1",
    )
    assert float(row["result"]) == pytest.approx(110.0 - 4 * 0.65)
    assert row["legs"] == "+1 550P -1 560P 2025-06-20"


async def test_fills_as_csv(book):
    """A row per fill, with the trade it belongs to."""
    await add(book, "-1 SPY 2025-06-20 560P @3.10, +1 SPY 2025-06-20 550P @1.60", price=None)

    rows = list(csv.DictReader(io.StringIO(await files.export(book, form="fills"))))

    assert list(rows[0]) == list(files.FILL_COLUMNS)
    assert [(row["strike"], row["quantity"], row["price"]) for row in rows] == [
        ("560.0", "-1.0", "3.1"), ("550.0", "1.0", "1.6"),
    ]  # fmt: skip


async def test_exports_can_be_narrowed(book):
    """By status and symbol."""
    await add(book)
    await add(book, "short_put_spread QQQ 500/490 2025-06-20")
    await trades.close(book, 1, TradeTicket(price="0.40"))

    closed = json.loads(await files.export(book, status="closed"))
    of_qqq = json.loads(await files.export(book, symbol="QQQ"))

    assert [one["id"] for one in closed["entries"]] == [1]
    assert [one["id"] for one in of_qqq["entries"]] == [2]
    assert closed["schema"] == files.SCHEMA


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.json", "{", "x.json: .*it can be the original's journal.json"),
        ("x.json", "[]", "JSON of another kind"),
        ("x.json", '{"schema": "tomic.chain/1"}', "JSON of another kind"),
        ("x.json", '{"schema": "tomic.journal/1", "entries": [{"symbol": "SPY"}]}', "x.json: "),
        ("x.csv", "a,b\n1,2\n", "no trades in it"),
    ],
)
async def test_files_of_another_kind(book, tmp_path, name, text, message):
    """What a file is not, and what it can be, is said."""
    with pytest.raises(BadFile, match=message):
        await files.import_file(book, write(tmp_path, name, text))


async def test_a_file_that_is_not_there(book, tmp_path):
    """The path is named."""
    with pytest.raises(BadFile, match=r"none\.json: no such file"):
        await files.import_file(book, tmp_path / "none.json")
    binary = tmp_path / "x.bin"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadFile, match="no text in UTF-8"):
        await files.import_file(book, binary)


# -- executions ------------------------------------------------------------------------------


async def test_a_brokers_trades_become_campaigns(later, tmp_path):
    """Opened and closed by executions alone: legs named, result computed, executions linked."""
    path = write(tmp_path, "flex.csv", FLEX)

    found = await files.import_file(later, path)
    again = await files.import_file(later, path)

    one = await journals.load(later, 1)
    assert (found.added, again.added, again.changed, again.known) == ((1,), (), (), 4)
    assert (one.strategy, one.status) == ("short_put_spread", EntryStatus.CLOSED)
    assert campaign.result(one) == pytest.approx(150.0 - 70.0 - 4 * 0.65)
    assert [note.split(":")[0] for note in found.notes] == ["opened", "closed"]
    linked = await later.store.journal.executions(entry_id=1)
    assert [row.exec_id for row in linked] == ["e1", "e2", "e3", "e4"]


async def test_a_typed_entry_is_confirmed_by_its_executions(later, tmp_path):
    """What was entered by hand gets the broker's prices and is not entered twice."""
    await trades.add(
        later, trades.from_text("short_put_spread SPY 560/550 2025-06-20"),
        TradeTicket(price="1.45", at=at(0)), trades.EntryNotes(strategy="mine"),
    )  # fmt: skip

    found = await files.import_file(later, write(tmp_path, "flex.csv", FLEX))

    one = await journals.load(later, 1)
    assert (found.added, found.changed) == ((), (1,))
    assert one.strategy == "mine"
    assert campaign.premium(one) == pytest.approx(150.0)
    assert found.notes[0] == "confirmed: SPY, entry 1"


async def test_an_interrupted_import_is_made_up_for(later, tmp_path):
    """Executions that are in an entry already are linked, not entered again."""
    path = write(tmp_path, "flex.csv", FLEX)
    await files.import_file(later, path)
    await later.store.journal.link_executions(["e1", "e2", "e3", "e4"], None)

    again = await files.import_file(later, path)

    assert (again.added, again.changed) == ((), ())
    assert len(await later.store.journal.executions(entry_id=1)) == 4


async def test_what_an_earlier_program_lost_is_told(later, tmp_path):
    """Half of a closing order that is in no entry, and a trade taken back, are named."""
    rows = "\n".join(
        f"OPT,SPY X,SPY,100,560,20250620,P,202505{day};103000,{size},1.00,-0.65,{day},x{day}"
        for day, size in ((19, -1), (20, -1), (21, 2))
    )
    await files.import_file(later, write(tmp_path, "f.csv", FLEX.splitlines()[0] + "\n" + rows))
    whole = await book_rows(later)
    await journals.correct(later, 2, Correction(reopen=True))

    short = await book_rows(later)

    assert set(whole.values()) == {""}
    assert short == {"x19": "", "x20": "", "x21": "entries have +1 of its +2"}


async def book_rows(book) -> dict[str, str]:
    return {one.id: one.reason for one in await executions.listing(book)}


async def test_executions_of_tws_need_a_gateway(book):
    """Without one it is said."""
    with pytest.raises(StoreError, match="executions come from the gateway"):
        await files.import_from_tws(book)


async def test_executions_are_linked_by_hand(later, tmp_path):
    """Unlinked executions go into the entry that the trader names."""
    text = "-1 SPY 2025-06-20 580P @4.00"
    wish = TradeTicket(at=at(-1))
    own = (await trades.add(later, trades.from_text(text), wish, trades.EntryNotes())).entry
    await files.import_file(later, write(tmp_path, "flex.csv", FLEX))
    row = (await later.store.journal.executions(entry_id=2))[0]
    await later.store.journal.save_executions([replace(row, exec_id="late", entry_id=None)])

    linked = await executions.link_executions(later, own.id, ["late"])

    assert linked.trades[-1].action is Action.ADJUST
    assert [one.exec_id for one in await later.store.journal.executions(entry_id=1)] == ["late"]
    with pytest.raises(UsageError, match="no execution late is waiting"):
        await executions.link_executions(later, own.id, ["late"])


# -- corrections -----------------------------------------------------------------------------


async def test_a_correction_is_kept_beside_what_was(book):
    """The result follows from the corrected price; the history has both, and why."""
    await add(book)
    await trades.close(book, 1, TradeTicket(price="0.40", commission=0.0))

    wanted = Correction(trade=2, price="0.60", because="misread")
    fixed = (await journals.correct(book, 1, wanted)).entry

    assert campaign.result(fixed) == pytest.approx(150.0 - 60.0 - 1.3)
    changes = await journals.history(book, 1)
    assert [(one.event, one.note) for one in changes][-1] == ("correct", "misread")
    prices = [one.values["trades"][1]["price"] for one in changes[1:]]
    assert prices == [-0.4, -0.6]


async def test_fields_and_rules_are_corrected(book):
    """Plan, tags, margin and single rules; the others stay."""
    await add(book)
    fields = journals.parse_fields(["plan=wait", "tags=a, b", "margin=880", "pos=none"])

    one = (await journals.correct(book, 1, Correction(fields, {"stop": "3"}))).entry

    assert (one.plan, one.tags, one.context.margin) == ("wait", ("a", "b"), 880.0)
    assert (one.rules.stop, one.rules.profit_target) == (3.0, 0.5)


async def test_the_price_of_a_leg_and_the_commission(book):
    """One leg at a time; the fee of the whole trade is spread over its contracts."""
    await add(book, "-1 SPY 2025-06-20 560P @3.10, +1 SPY 2025-06-20 550P @1.60", price=None)

    wanted = Correction(trade=1, leg="560P=3.00", commission=2.0, at=at(-1))
    one = (await journals.correct(book, 1, wanted)).entry

    assert campaign.premium(one) == pytest.approx(140.0)
    assert campaign.commissions(one) == 2.0
    assert one.opened_at == at(-1)


async def test_taking_a_close_back(book):
    """Reopened, the entry holds its legs again; the close stays in the history."""
    await add(book)
    await trades.close(book, 1, TradeTicket(price="0.40"))

    one = (await journals.correct(book, 1, Correction(reopen=True))).entry

    assert one.is_open
    assert len(campaign.held(one)) == 2
    assert len(await journals.history(book, 1)) == 3
    with pytest.raises(UsageError, match="only its opening is left"):
        await journals.correct(book, 1, Correction(reopen=True))


async def test_cancelling_and_back(book):
    """A cancelled entry is kept, counts nowhere, and can be taken back."""
    await add(book)

    gone = (await journals.correct(book, 1, Correction(cancel=True))).entry
    back = (await journals.correct(book, 1, Correction(reopen=True))).entry

    assert gone.status is EntryStatus.CANCELLED
    assert (back.status, len(back.trades)) == (EntryStatus.OPEN, 1)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Correction(), "nothing to correct"),
        (Correction(price="1.20"), "say which trade is wrong"),
        (Correction(trade=5, price="1.20"), "entry 1 has 1 trades"),
        (Correction(trade=1, leg="570P=1"), "the trade has 550P 2025-06-20, 560P"),
        (Correction(trade=1, leg="560P=x"), "write it as 560P=2.35"),
        (Correction(trade=1, leg="560P=3"), "a price is missing for 550P"),
        (Correction(rules={"stop": "x"}), "stop: "),
    ],
)
async def test_corrections_that_make_no_sense(book, wanted, message):
    """Nothing is changed, and what is wrong is said."""
    await add(book)

    with pytest.raises(UsageError, match=message):
        await journals.correct(book, 1, wanted)

    assert len(await journals.history(book, 1)) == 1


@pytest.mark.parametrize("text", ["plan", "result=100", "margin=much"])
def test_fields_that_cannot_be_corrected(text):
    """Results are computed: there is no field for them."""
    with pytest.raises(UsageError):
        journals.parse_fields([text])


async def test_a_leg_gets_its_contract_id(book):
    """A position is linked by the number of its contract."""
    await add(book)

    one = await journals.link_position(book, 1, "560P=712345")

    assert {leg.name[:4]: leg.con_id for leg in campaign.held(one)} == {
        "550P": None, "560P": 712345,
    }  # fmt: skip
    for wrong in ("560P", "600P=1", "5=1"):
        with pytest.raises(UsageError, match="--position"):
            await journals.link_position(book, 1, wrong)


def test_the_condor_of_the_fixtures():
    """The builder of entries holds the legs it names."""
    assert len(campaign.held(condor())) == len(CONDOR)
