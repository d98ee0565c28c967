"""`tomic doctor`: what stands between here and a chain, and how to mend it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from tomic.cli import options
from tomic.cli.running import open_desk, runs, worst
from tomic.workflows.doctor import ladder

app = typer.Typer()


@app.command()
@runs
async def doctor(
    *,
    gateway: Annotated[options.GatewayOptions, "host port client_id"],
    common: Annotated[options.CommonOptions, "as_json demo replay config verbose quiet"],
) -> int:
    """Check each step from TWS to option data, and how to fix it."""
    desk, _ = open_desk(common, gateway, quiet=common.as_json)
    checks = []
    async with desk:
        async for check in desk.examine():
            checks.append(check)
            if not common.as_json:
                _print(check)
    problems = [each for each in checks if each.verdict == "fail"]
    warnings = [each for each in checks if each.verdict == "warn"]
    if common.as_json:
        document = {"schema": "tomic.doctor/1", "checks": [asdict(each) for each in checks]}
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        typer.echo(f"{_count(problems, 'problem')}, {_count(warnings, 'warning')}")
    return worst([problem.exit_code for problem in problems])


def _print(check: ladder.Check) -> None:
    typer.echo(f" {check.verdict:<5} {check.name:<18} {check.found}")
    for label, text in (("why", check.cause), ("fix", check.fix)):
        if text:
            typer.echo(f"{'':26}{label}: {text}")


def _count(checks: list[ladder.Check], what: str) -> str:
    return f"{len(checks)} {what}{'' if len(checks) == 1 else 's'}"
