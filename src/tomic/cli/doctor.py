"""`tomic doctor`: what stands between here and a chain, and how to mend it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from tomic.cli import options
from tomic.cli.running import runs, worst

if TYPE_CHECKING:
    from tomic.workflows.doctor.ladder import Check

app = typer.Typer()


@app.command()
@runs
async def doctor(
    host: options.HostOption = None,
    port: options.PortOption = None,
    client_id: options.ClientIdOption = None,
    as_json: options.JsonOption = False,
    demo: options.DemoOption = False,
    replay: options.ReplayOption = None,
    config: options.ConfigOption = None,
    verbose: options.VerboseOption = 0,
    quiet: options.QuietOption = False,
) -> int:
    """Check the way from the socket to option data, and the store; say how to mend it."""
    from tomic.cli import opening

    desk, _ = opening.desk(
        config=config,
        demo=demo,
        replay=replay,
        quiet=quiet or as_json,
        verbose=verbose,
        ib={"host": host, "port": port, "client_id": client_id},
    )
    checks = []
    async with desk:
        async for check in desk.examine():
            checks.append(check)
            if not as_json:
                _print(check)
    problems = [one for one in checks if one.verdict == "fail"]
    warnings = [one for one in checks if one.verdict == "warn"]
    if as_json:
        document = {"schema": "tomic.doctor/1", "checks": [asdict(one) for one in checks]}
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        typer.echo(f"{_count(problems, 'problem')}, {_count(warnings, 'warning')}")
    return worst([one.exit_code for one in problems])


def _print(check: Check) -> None:
    typer.echo(f" {check.verdict:<5} {check.name:<18} {check.found}")
    for label, text in (("why", check.cause), ("fix", check.fix)):
        if text:
            typer.echo(f"{'':26}{label}: {text}")


def _count(checks: list[Check], what: str) -> str:
    return f"{len(checks)} {what}{'' if len(checks) == 1 else 's'}"
