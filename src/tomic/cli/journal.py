"""`tomic journal`: entries opened, rolled, closed, noted and corrected; nothing is deleted."""

from __future__ import annotations

import datetime as dt
import getpass
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from tomic import config as configuration, files, notices, store
from tomic.cli import completion, help, notify as telling, options
from tomic.cli.running import at_desk, runs, worst
from tomic.errors import (
    BadFile,
    ConfigError,
    DataError,
    RequestFailed,
    SessionError,
    TomicError,
    UsageError,
)
from tomic.journal import campaign
from tomic.present import journal as present, track as track_record
from tomic.present.text import reasons
from tomic.workflows.journal import (
    entries as journals,
    executions as imported,
    files as journal_files,
    review,
    statistics,
    track,
    trades,
)

_FIRST_YEAR = 1970
_MOST_DIGITS = 15
_STATUSES = ("open", "closed", "cancelled")
COMMISSION = "For the whole trade; else that of the settings."


def parse_entry(text: str) -> int:
    """``31`` or ``J-0031``."""
    bare = text.strip().upper().removeprefix("J").lstrip("-")
    if not bare.isascii() or not bare.isdigit() or len(bare) > _MOST_DIGITS:
        raise typer.BadParameter(f"{text!r}: write the number of an entry, such as 31")
    return int(bare)


def parse_price(text: str) -> str:
    """A number as typed: its sign says received or paid, and having none is a choice too."""
    try:
        value = campaign.plain_price(text)
    except UsageError as exc:
        raise typer.BadParameter(str(exc)) from None
    return f"{value:{'+' if text.strip()[0] in '+-' else ''}.10g}" if "," in text else text


def parse_rules(texts: Sequence[str] | None) -> dict[str, Any]:
    """``stop=2.5`` and the like; "none" switches a rule off."""
    rules: dict[str, Any] = {}
    for text in texts or ():
        name, sign, value = text.partition("=")
        if not sign:
            raise UsageError(f"--rule {text}: write it as stop=2.5 or min_dte=none")
        rules[name.strip()] = value.strip()
    return rules


def parse_expiry(text: str) -> dt.date:
    """``2027-01-15`` or ``20270115``."""
    from tomic import dates

    try:
        return dates.parse_expiry(text)
    except DataError as exc:
        raise typer.BadParameter(str(exc)) from None


def _status(text: str) -> str:
    if text not in _STATUSES:
        raise typer.BadParameter(f"{text!r}: choose one of {', '.join(_STATUSES)}")
    return text


def _moment(text: str) -> dt.datetime:
    """A moment; without a zone that of New York, a day alone at noon."""
    from tomic.dates import NEW_YORK

    moment = options.parse_moment(text)
    if moment.year < _FIRST_YEAR:
        raise typer.BadParameter(f"{text!r}: nothing was traded then; write a year such as 2026")
    if moment.time() == dt.time() and ":" not in text:
        moment = moment.replace(hour=12)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=NEW_YORK)


class LegsCommand(help.HelpedCommand):
    """A command whose legs may begin with a minus: ``"-1 SPY 2026-12-18 580P"`` is no option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put a blank before such a text, which keeps it from being taken for an option."""
        return super().parse_args(ctx, [_as_text(word) for word in args])


def _as_text(word: str) -> str:
    is_legs = word[:1] == "-" and word[1:2].isdigit() and " " in word
    return f" {word}" if is_legs else word


EntryArgument = Annotated[
    int,
    typer.Argument(
        parser=parse_entry,
        metavar="ENTRY",
        help="Number of the entry: 31.",
        autocompletion=completion.entries,
    ),
]
EntriesArgument = Annotated[
    list[int] | None,
    typer.Argument(
        parser=parse_entry,
        metavar="[ENTRY]...",
        help="Numbers of entries; all open ones without.",
        show_default=False,
        autocompletion=completion.entries,
    ),
]
PriceOption = Annotated[
    str | None,
    typer.Option(
        "--price",
        parser=parse_price,
        metavar="X",
        help="What one structure traded for; +X received, -X paid, X where that is clear.",
    ),
]
StatusOption = Annotated[
    str | None,
    typer.Option("--status", parser=_status, metavar="|".join(_STATUSES), help="Only these."),
]
OfflineOption = Annotated[
    bool, typer.Option("--offline", help="Ask nobody for marks; needs a price.")
]
WhenOption = Annotated[
    dt.datetime | None,
    typer.Option(
        "--at", parser=_moment, metavar="TIME", help="When it was, such as 2026-11-20T15:45."
    ),
]


CommissionOption = Annotated[float | None, typer.Option(help=COMMISSION, show_default=False)]
QuantityOption = Annotated[int, typer.Option("--quantity", min=1, help="How many structures.")]
NoteOption = Annotated[str, typer.Option("--note", help="Kept with the trade.")]
SymbolOption = Annotated[
    str | None,
    typer.Option(
        "--symbol",
        "-s",
        callback=lambda symbol: symbol and symbol.upper(),
        help="Only of this one.",
        show_default=False,
    ),
]
RowsOptions = Annotated[options.CommonOptions, "format as_json show_accounts demo config quiet"]
ExportOptions = Annotated[options.CommonOptions, "as_json show_accounts demo config quiet"]
PlainOptions = Annotated[options.CommonOptions, "demo config quiet"]
JudgingOptions = Annotated[
    options.CommonOptions, "format as_json demo replay as_of config verbose quiet"
]


@dataclass(frozen=True, slots=True)
class TradeOptions:
    """What is said of every trade besides its price."""

    when: WhenOption = None
    commission: CommissionOption = None
    note: NoteOption = ""
    offline: OfflineOption = False

    def ticket(self, price: str | None) -> trades.TradeTicket:
        """The trade at *price*."""
        return trades.TradeTicket(price, self.when, self.offline, self.commission, self.note)


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What is said of a new entry."""

    strategy: Annotated[
        str | None, typer.Option(help="Its name.", autocompletion=completion.strategies)
    ] = None
    plan: Annotated[str, typer.Option(help="What you mean to do.")] = ""
    reason: Annotated[str, typer.Option(help="Why you took it.")] = ""
    tag: Annotated[list[str] | None, typer.Option("--tag", help="A word to find it by.")] = None
    rule: Annotated[
        list[str] | None,
        typer.Option("--rule", metavar="NAME=VALUE", help="Exit rule: stop=2.5, min_dte=none."),
    ] = None
    continues: Annotated[
        int | None, typer.Option(metavar="ID", help="Entry whose campaign goes on.")
    ] = None


@asynccontextmanager
async def opened(
    common: options.CommonOptions,
    gateway: options.GatewayOptions | None = None,
    *,
    asks: bool = True,
) -> AsyncIterator[journals.Journal]:
    """
    The journal for a command.

    Where nobody is asked the store is opened alone, which spares the imports of a session.
    """
    if not asks and not common.demo and common.replay is None:
        async with _alone(common.config) as journal:
            yield journal
        return
    async with at_desk(common, gateway, quiet=not asks) as desk:
        yield await desk.journal(offline=not asks)


@asynccontextmanager
async def _alone(config: Path | None) -> AsyncIterator[journals.Journal]:
    async def now() -> dt.datetime:
        return dt.datetime.now(dt.UTC)

    settings = configuration.load_settings(config)
    wait_s = settings.store.lock_wait_s
    async with store.Database(settings.store.path, busy_timeout_s=wait_s) as database:
        yield journals.Journal(database, settings, clock=now)


app = typer.Typer(
    name="journal",
    help=(
        "Entries, exits and what was learnt. An entry is a campaign: rolls and adjustments belong "
        "to it, results are computed, and every correction is kept."
    ),
)
app.callback(invoke_without_command=True)(options.help_when_alone)


@app.command(name="list")
@runs
async def list_(
    every: Annotated[bool, typer.Option("--all", help="Closed and cancelled ones too.")] = False,
    status: StatusOption = None,
    symbol: SymbolOption = None,
    strategy: Annotated[str | None, typer.Option(help="Only of this one.")] = None,
    since: Annotated[
        dt.datetime | None,
        typer.Option(parser=options.parse_moment, metavar="DAY", help="Opened on it or later."),
    ] = None,
    *,
    common: RowsOptions,
) -> None:
    """List entries, the open ones unless told otherwise."""
    wanted = status or (None if every else "open")
    async with opened(common, asks=False) as journal:
        rows = await journals.listing(
            journal,
            status=wanted,
            symbol=symbol,
            strategy=strategy,
            since=since.date() if since else None,
        )
    common.give(present.listing(rows, common.shape))
    common.say(*present.listing_notes(rows))
    if not rows:
        what = f"{wanted} entries" if wanted else "entries"
        common.say(f"no {what}; tomic journal add opens one")


@app.command()
@runs
async def show(entry: EntryArgument, *, common: RowsOptions) -> None:
    """Print one entry whole: trades, result, context, rules, notes."""
    async with opened(common, asks=False) as journal:
        shown = await journals.load(journal, entry)
    common.give(present.whole(shown, common.shape), [shown.account])


@app.command()
@runs
async def history(entry: EntryArgument, *, common: RowsOptions) -> None:
    """Print every change of an entry, oldest first."""
    async with opened(common, asks=False) as journal:
        changes = await journals.history(journal, entry)
    common.give(present.history(changes, common.shape))


@app.command()
@runs
async def check(
    entries: EntriesArgument = None,
    exit_code: options.ExitCodeOption = False,
    no_keep: Annotated[
        bool, typer.Option("--no-keep", help="Do not keep today's marks with the entries.")
    ] = False,
    offline: OfflineOption = False,
    notify: options.NotifyOption = False,
    *,
    gateway: options.GatewayOptions,
    common: JudgingOptions,
) -> int:
    """Judge the exit rules of open entries on live marks."""
    async with opened(common, gateway, asks=not offline) as journal:
        run = await review.check(journal, entries or (), keep=not no_keep)
        if telling.is_wanted(common, notify):
            look = notices.of_checks(run.checks, every=not entries, failed=bool(run.errors))
            lost = [str(exc) for exc in run.errors.values() if isinstance(exc, SessionError)]
            looks = [look, *([notices.of_gateway(lost[0])] if lost else [])]
            await telling.tell(journal.store, journal.settings, looks, common)
    typer.echo(present.checks(run, common.shape), nl=False)
    for line in reasons(run.errors.items()):
        typer.echo(f"tomic: {line}", err=True)
    common.say(*present.check_notes(run), present.check_summary(run))
    return check_code(run, exit_code=exit_code)


def check_code(run: review.CheckRun, *, exit_code: bool) -> int:
    """10 when a rule fired and that was asked for; 3 when part of it could not be judged."""
    codes = [10] if exit_code and run.fired else []
    if run.is_partial or run.errors:
        marked = any(check.pnl is not None for check in run.checks)
        worst_error = worst([error.exit_code for error in run.errors.values()] or [3])
        codes.append(3 if marked else worst_error)
    return worst(codes)


@app.command()
@runs
async def snapshot(
    entries: EntriesArgument = None,
    note: Annotated[str, typer.Option(help="Kept with each.")] = "",
    *,
    gateway: options.GatewayOptions,
    common: Annotated[options.CommonOptions, "format as_json demo config verbose quiet"],
) -> int:
    """Keep the marks of this moment with open entries."""
    async with opened(common, gateway) as journal:
        taken = await review.snapshot(journal, entries or (), note=note)
    typer.echo(present.snapshots(taken, common.shape), nl=False)
    problems = [(f"entry {each.entry.id}", each.problem) for each in taken if each.problem]
    for line in reasons(problems):
        typer.echo(f"tomic: {line}", err=True)
    if not problems or any(each.snapshot for each in taken):
        return 3 if problems else 0
    return worst([each.error.exit_code if each.error else 3 for each in taken])


@app.command()
@runs
async def attribute(
    entries: EntriesArgument = None,
    offline: OfflineOption = False,
    *,
    gateway: options.GatewayOptions,
    common: JudgingOptions,
) -> int:
    """Say where the P&L came from: by Greeks and by revaluation."""
    async with opened(common, gateway, asks=not offline) as journal:
        explained = await review.attribute(journal, entries or ())
    typer.echo(present.attributions(explained, common.shape), nl=False)
    common.say(*(f"entry {each.entry.id}: {text}" for each in explained for text in each.notes))
    lacking = [
        str(each.entry.id) for each in explained if not (each.since_entry or each.since_yesterday)
    ]
    if lacking:
        typer.echo(f"tomic: partial: nothing to explain of entry {', '.join(lacking)}", err=True)
    return 3 if lacking else 0


@app.command()
@runs
async def stats(
    by: Annotated[
        str | None, typer.Option(metavar="strategy|symbol|month|grade", help="A line for each.")
    ] = None,
    symbol: SymbolOption = None,
    proposals: Annotated[
        bool,
        typer.Option(
            "--proposals", help="What saved proposals came to, traded or not, grade by grade."
        ),
    ] = False,
    *,
    common: RowsOptions,
) -> None:
    """Win rate, expectancy, drawdown, and how honest forecasts were."""
    if by is not None and by not in statistics.BY:
        raise UsageError(f"--by {by}: there are {', '.join(statistics.BY)}")
    if proposals and by is not None:
        raise UsageError("--proposals counts by grade and month: leave --by out")
    async with opened(common, asks=False) as journal:
        if proposals:
            record = await track.record(journal, symbol=symbol)
            typer.echo(track_record.report(record, common.shape), nl=False)
            common.say(*(f"note: {text}" for text in record.notes))
            return
        report = await statistics.report(journal, by=statistics.BY.get(by or ""), symbol=symbol)
    typer.echo(present.report(report, common.shape), nl=False)
    common.say(*(f"note: {text}" for text in report.notes))


@app.command(cls=LegsCommand)
@runs
async def add(
    legs: Annotated[
        str | None,
        typer.Argument(
            metavar="[LEGS]", help='Such as "-1 SPY 2026-12-18 580P, +1 570P"; @1.25 is a price.'
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="ID", help="A saved proposal.", autocompletion=completion.proposals
        ),
    ] = None,
    position: Annotated[
        str | None,
        typer.Option(metavar="ID[,ID]", help="Contract ids of positions in the account."),
    ] = None,
    price: PriceOption = None,
    quantity: QuantityOption = 1,
    symbol: Annotated[str | None, typer.Option("--symbol", "-s", help="Of LEGS.")] = None,
    *,
    notes: PlanOptions,
    trade: TradeOptions,
    common: RowsOptions,
) -> None:
    """Open an entry from a proposal, from positions or from legs."""
    if sum(given is not None for given in (legs, source, position)) != 1:
        raise UsageError('name one of LEGS, --from PROPOSAL and --position ID, as in "-1 SPY …"')
    kept = trades.EntryNotes(
        notes.strategy or "",
        notes.plan,
        notes.reason,
        tuple(notes.tag or ()),
        parse_rules(notes.rule),
        notes.continues,
    )
    # The price of a saved proposal is known, and so are its marks.
    asks = price is not None or source is None
    async with opened(common, asks=asks and not trade.offline) as journal:
        draft = await _draft(journal, legs, source, position, symbol, quantity)
        recorded = await trades.add(journal, draft, trade.ticket(price), kept)
    _print(recorded, common)


async def _draft(
    journal: journals.Journal,
    legs: str | None,
    source: str | None,
    position: str | None,
    symbol: str | None,
    quantity: int,
) -> trades.Draft:
    if source is not None:
        return await trades.from_proposal(journal, source, quantity=quantity)
    if position is not None:
        try:
            ids = [int(word) for word in position.split(",")]
        except ValueError:
            raise UsageError(
                f"--position {position}: write contract ids, as in 712345,712346"
            ) from None
        return await trades.from_positions(journal, ids)
    return trades.from_text(legs or "", symbol=symbol, quantity=quantity, settings=journal.settings)


@app.command()
@runs
async def close(
    entry: EntryArgument,
    price: PriceOption = None,
    structures: Annotated[
        int | None, typer.Option(min=1, help="Only so many of them.", show_default=False)
    ] = None,
    expired: Annotated[
        bool, typer.Option("--expired", help="Record what became of expired options.")
    ] = False,
    assigned: Annotated[
        str | None,
        typer.Option(metavar="LEG", help="Exercised or assigned early: 560P 2026-12-18."),
    ] = None,
    spot: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Price at expiry, if it is not stored; the value at the open for SPX and VIX.",
        ),
    ] = None,
    *,
    trade: TradeOptions,
    common: RowsOptions,
) -> None:
    """Close an entry: at a price, by expiry or by assignment."""
    if expired and assigned:
        raise UsageError("--expired and --assigned exclude each other; record one after the other")
    asks = not (trade.offline or expired or assigned)
    async with opened(common, asks=asks) as journal:
        if expired:
            recorded = await trades.settle(journal, entry, at=trade.when, spot=spot)
        elif assigned:
            leg = await _leg_of(journal, entry, assigned, structures)
            fee = 0.0 if trade.commission is None else trade.commission
            recorded = await trades.assign(
                journal, entry, leg, at=trade.when, commission=fee, spot=spot
            )
        else:
            ticket = trade.ticket(price)
            recorded = await trades.close(journal, entry, ticket, structures=structures)
    _print(recorded, common)


async def _leg_of(journal: journals.Journal, entry: int, text: str, contracts: int | None) -> Any:
    """The option held that the text names, all of its contracts unless told."""
    campaign_entry = await journals.load(journal, entry)
    wanted = text.upper().replace(" ", "")
    legs = [leg for leg in campaign.held(campaign_entry) if not leg.is_stock]
    matches = [leg for leg in legs if leg.name.replace(" ", "").startswith(wanted)]
    if len(matches) != 1:
        names = ", ".join(leg.name for leg in legs) or "no options"
        raise UsageError(f"--assigned {text}: entry {entry} holds {names}; name one of them")
    amount = contracts if contracts is not None else abs(matches[0].quantity)
    return matches[0].model_copy(update={"quantity": float(amount)})


@app.command(cls=LegsCommand)
@runs
async def roll(
    entry: EntryArgument,
    legs: Annotated[
        str | None,
        typer.Argument(metavar="[LEGS]", help="What is traded: legs closed and legs opened."),
    ] = None,
    to: Annotated[
        dt.date | None,
        typer.Option(
            "--to", parser=parse_expiry, metavar="EXPIRY", help="Roll every option there."
        ),
    ] = None,
    strikes: Annotated[
        str | None,
        typer.Option(
            metavar="A/B", help="New strikes, in the order of the legs held; alone: same expiry."
        ),
    ] = None,
    price: PriceOption = None,
    *,
    trade: TradeOptions,
    common: RowsOptions,
) -> None:
    """Close legs and open others in one trade, or add legs."""
    if (legs is None) == (to is None and strikes is None):
        raise UsageError(
            "name LEGS, --to EXPIRY or --strikes A/B, as in --to 2027-01-15, "
            '--strikes 555/545 within the expiry, or "+1 560P …, -1 555P …"'
        )
    ticket = trade.ticket(price)
    async with opened(common, asks=not trade.offline) as journal:
        before = await journals.load(journal, entry)
        if legs is None:
            traded = trades.rolled_to(before, to, _strikes(strikes))
            recorded = await trades.roll(journal, entry, traded, {}, ticket)
        else:
            draft = trades.written(before, legs)
            recorded = await trades.roll(journal, entry, draft.legs, draft.prices, ticket)
    _print(recorded, common)


def _strikes(text: str | None) -> list[float]:
    try:
        return [float(word) for word in text.split("/")] if text else []
    except ValueError:
        raise UsageError(f"--strikes {text}: write them as 555/545") from None


@app.command()
@runs
async def note(
    entry: EntryArgument,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to remember.")],
    *,
    common: PlainOptions,
) -> None:
    """Add a dated note."""
    async with opened(common, asks=False) as journal:
        await journals.add_note(journal, entry, text)
    common.say(f"entry {entry}: noted")


@app.command()
@runs
async def link(
    entry: EntryArgument,
    continues: Annotated[
        int | None, typer.Option(metavar="ID", help="Entry whose campaign this one goes on with.")
    ] = None,
    execution: Annotated[
        list[str] | None,
        typer.Option("--execution", metavar="EXEC_ID", help="An imported execution that is its."),
    ] = None,
    position: Annotated[
        str | None, typer.Option(metavar="LEG=CON_ID", help="Contract id of a leg: 560P=712345.")
    ] = None,
    *,
    common: PlainOptions,
) -> None:
    """Link what belongs together: entries, executions, positions."""
    if continues is None and not execution and position is None:
        raise UsageError("name --continues ID, --execution EXEC_ID or --position LEG=CON_ID")
    async with opened(common, asks=False) as journal:
        if continues is not None:
            await journals.continue_from(journal, entry, continues)
        if execution:
            await imported.link_executions(journal, entry, execution)
        if position is not None:
            await journals.link_position(journal, entry, position)
    common.say(f"entry {entry}: linked")


@app.command()
@runs
async def correct(
    entry: EntryArgument,
    sets: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME=VALUE]...", help="plan, reason, tags, margin and others."),
    ] = None,
    trade: Annotated[
        int | None, typer.Option(min=1, help="Number of the trade that is wrong, from 1.")
    ] = None,
    price: PriceOption = None,
    leg: Annotated[
        str | None, typer.Option(metavar="LEG=PRICE", help="Price of a leg of --trade: 560P=2.35.")
    ] = None,
    when: WhenOption = None,
    commission: CommissionOption = None,
    rule: Annotated[
        list[str] | None, typer.Option("--rule", metavar="NAME=VALUE", help="Exit rule.")
    ] = None,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="It was never traded: keep it, count it nowhere.")
    ] = False,
    reopen: Annotated[
        bool, typer.Option("--reopen", help="Take the last trade back; it stays in the history.")
    ] = False,
    because: Annotated[str, typer.Option(help="Why; kept in the history.")] = "",
    *,
    common: RowsOptions,
) -> None:
    """Put something right; the history keeps what it was."""
    wanted = journals.Correction(
        fields=journals.parse_fields(sets or []),
        rules=parse_rules(rule),
        trade=trade,
        price=price,
        leg=leg,
        at=when,
        commission=commission,
        cancel=cancel,
        reopen=reopen,
        because=because,
    )
    async with opened(common, asks=False) as journal:
        recorded = await journals.correct(journal, entry, wanted)
    _print(recorded, common)


@app.command(name="import")
@runs
async def import_(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE]...",
            help="The original's journal.json, an export, or a statement or Flex query of IB.",
        ),
    ] = None,
    tws: Annotated[bool, typer.Option("--tws", help="Executions that TWS still knows.")] = False,
    flex: Annotated[
        bool, typer.Option("--flex", help="The Flex queries of the settings, fetched from IB.")
    ] = False,
    *,
    gateway: Annotated[options.GatewayOptions, "host port client_id"],
    common: RowsOptions,
) -> int:
    """Import files or executions; doing it again adds nothing."""
    if not files and not tws and not flex:
        raise UsageError(
            "name files, or --tws for the executions that TWS still knows, or --flex for the Flex "
            "queries of the settings"
        )
    taken: list[tuple[str, journal_files.ImportedJournal]] = []
    refused: list[tuple[str, TomicError]] = []
    async with opened(common, gateway, asks=tws) as journal:
        for file in files or []:
            try:
                taken.append((str(file), await journal_files.import_file(journal, file)))
            # A file that cannot be read keeps no other from being taken in.
            except BadFile as exc:
                refused.append((str(file), exc))
        if tws:
            try:
                taken.append(("TWS", await journal_files.import_from_tws(journal)))
            except (SessionError, RequestFailed) as exc:
                refused.append(("TWS", exc))
        if flex:
            try:
                async for name, result in journal_files.import_by_flex(journal):
                    if isinstance(result, TomicError):
                        refused.append((name, result))
                    else:
                        taken.append((name, result))
            except ConfigError as exc:
                refused.append(("Flex", exc))
    problems = [error for _, error in refused]
    last = problems.pop() if problems and not taken else None
    if last is None:
        typer.echo(present.imports(taken, common.shape, refused), nl=False)
        common.say(*(f"{name}: {text}" for name, result in taken for text in result.notes))
    for error in problems:
        typer.echo(f"tomic: {error}", err=True)
    if last is not None:
        raise last
    return worst([error.exit_code for error in problems])


@app.command()
@runs
async def executions(
    unplaced: Annotated[
        bool, typer.Option("--unplaced", help="Only what waits for an entry, and why.")
    ] = False,
    symbol: SymbolOption = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option("--ignore", metavar="ID", help="Set one aside for good; kept, not placed."),
    ] = None,
    restore: Annotated[
        list[str] | None,
        typer.Option("--restore", metavar="ID", help="Take that back; the next import tries it."),
    ] = None,
    because: Annotated[str, typer.Option(help="Why; kept with the decision.")] = "",
    *,
    common: RowsOptions,
) -> None:
    """List imported executions, or set aside what has no entry."""
    if ignore and restore:
        raise UsageError("--ignore and --restore exclude each other; do one after the other")
    if because and not (ignore or restore):
        raise UsageError("--because says why of --ignore or --restore; name one of them")
    async with opened(common, asks=False) as journal:
        if ignore or restore:
            rows = await imported.decide(
                journal,
                ignore or restore or [],
                "ignore" if ignore else "restore",
                who=_who(),
                because=because,
            )
        else:
            rows = await imported.listing(journal, unplaced=unplaced, symbol=symbol)
    common.give(present.executions(rows, common.shape))
    if not rows:
        none = "no execution waits for an entry" if unplaced else "no executions were imported"
        common.say(none)


def _who() -> str:
    """The user of this computer, by name or by number."""
    try:
        return getpass.getuser()
    # No name in the environment, and none in the system's book or no such book (Windows).
    except (KeyError, OSError, ImportError):
        return f"user {os.getuid()}" if hasattr(os, "getuid") else "unknown"


@app.command()
@runs
async def export(
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            dir_okay=False,
            metavar="FILE",
            callback=options.target,
            help="File; stdout without it.",
        ),
    ] = None,
    form: Annotated[
        str, typer.Option("--form", metavar="json|csv|fills|original", help="What is written.")
    ] = "json",
    status: StatusOption = None,
    symbol: SymbolOption = None,
    *,
    common: ExportOptions,
) -> None:
    """Write the journal as JSON, or entries or fills as CSV."""
    if form not in ("json", "csv", "fills", "original"):
        raise UsageError(f"--form {form}: there are json, csv, fills and original")
    shape = "json" if common.as_json else form
    async with opened(common, asks=False) as journal:
        text = await journal_files.export(journal, form=shape, status=status, symbol=symbol)
    if out is None:
        typer.echo(text, nl=False)
    else:
        path = files.write_text(out, text, private=True)
        typer.echo(f"{path}: {dt.datetime.now():%Y-%m-%d %H:%M}", err=True)


def _print(recorded: journals.Recorded, common: options.CommonOptions) -> None:
    """Print the entry as it is now, and what the trader should know."""
    entry = recorded.entry
    common.give(present.recorded(entry, common.shape), [entry.account])
    common.say(*(f"note: {text}" for text in recorded.notes))
