"""`tomic doctor`: what stands between here and a chain, and how to mend it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from tomic.cli import options
from tomic.cli.running import open_desk, runs, worst
from tomic.present.forms import Format, emit_rows
from tomic.workflows.doctor import ladder

app = typer.Typer()


@app.command()
@runs
async def doctor(
    *,
    gateway: Annotated[options.GatewayOptions, "host port client_id"],
    common: Annotated[options.CommonOptions, "format as_json demo replay config verbose quiet"],
) -> int:
    """Check each step from TWS to option data, and how to fix it."""
    shape = common.shape
    desk, _ = open_desk(common, gateway, quiet=shape is not Format.TABLE)
    checks = []
    async with desk:
        async for check in desk.examine():
            checks.append(check)
            if shape is Format.TABLE:
                _print(check)
    problems = [each for each in checks if each.verdict == "fail"]
    warnings = [each for each in checks if each.verdict == "warn"]
    last = f"{_count(problems, 'problem')}, {_count(warnings, 'warning')}\n"
    rows = [asdict(each) for each in checks]
    shown = emit_rows(shape, rows, lambda: last, schema="tomic.doctor/1", name="checks")
    typer.echo(shown, nl=False)
    return worst([problem.exit_code for problem in problems])


def _print(check: ladder.Check) -> None:
    typer.echo(f" {check.verdict:<5} {check.name:<18} {check.found}")
    for label, text in (("why", check.cause), ("fix", check.fix)):
        if text:
            typer.echo(f"{'':26}{label}: {text}")


def _count(checks: list[ladder.Check], what: str) -> str:
    return f"{len(checks)} {what}{'' if len(checks) == 1 else 's'}"
