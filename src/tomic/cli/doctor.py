"""`tomic doctor`: what stands between here and a chain, and how to mend it."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from tomic.cli import options
from tomic.cli.running import runs, worst

app = typer.Typer()


@app.command()
@runs
async def doctor(
    host: options.HostOption = None,
    port: options.PortOption = None,
    client_id: options.ClientIdOption = None,
    as_json: options.JsonOption = False,
    demo: options.DemoOption = False,
    config: options.ConfigOption = None,
    verbose: options.VerboseOption = 0,
    quiet: options.QuietOption = False,
) -> int:
    """Check socket, handshake, account, clock, market, stock and option data, and pacing."""
    from tomic.cli import opening

    desk, _ = opening.desk(
        config=config,
        demo=demo,
        replay=None,
        quiet=quiet or as_json,
        verbose=verbose,
        ib={"host": host, "port": port, "client_id": client_id},
    )
    checks = []
    async with desk:
        async for check in desk.examine():
            checks.append(check)
            if not as_json:
                typer.echo(f" {check.verdict:<5} {check.name:<18} {check.found}")
                if check.fix:
                    typer.echo(f"{'':7}{'':18} fix: {check.fix}")
    problems = [one for one in checks if one.verdict == "fail"]
    warnings = [one for one in checks if one.verdict == "warn"]
    if as_json:
        document = {"schema": "tomic.doctor/1", "checks": [asdict(one) for one in checks]}
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        typer.echo(f"{len(problems)} problems, {len(warnings)} warnings")
    return worst([one.exit_code for one in problems])
