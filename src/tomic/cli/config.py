"""`tomic config`: look at the settings, write a file for them, check it, change one key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tomic import config as configuration
from tomic.cli.options import (
    ConfigOption,
    DemoOption,
    FormatOption,
    JsonOption,
    chosen_format,
    help_when_alone,
)
from tomic.disk import open_to_others
from tomic.present.forms import Format, emit, to_csv, to_json, to_ndjson

app = typer.Typer(name="config", help="Show, write, check and change settings.")


app.callback(invoke_without_command=True)(help_when_alone)


@app.command()
def show(
    origin: Annotated[
        bool, typer.Option("--origin", help="Say where each value comes from.")
    ] = False,
    format: FormatOption = Format.TABLE,
    as_json: JsonOption = False,
    demo: DemoOption = False,
    config: ConfigOption = None,
) -> None:
    """Print every setting as it is in effect."""
    from tomic.config.text import plain, toml_text

    values = {
        key: (plain(value), source)
        for key, (value, source) in configuration.origins(config).items()
    }

    def line(key: str) -> str:
        value, source = values[key]
        text = f"{key} = {toml_text(value)}"
        return f"{text:<44}  {source}\n" if origin else f"{text}\n"

    def document() -> str:
        rows = {key: {"value": value, "origin": source} for key, (value, source) in values.items()}
        bare = {key: value for key, (value, _) in values.items()}
        return to_json({"schema": "tomic.config/1", "settings": rows if origin else bare})

    rows = [
        {"key": key, "value": value, **({"origin": source} if origin else {})}
        for key, (value, source) in values.items()
    ]
    shown = emit(
        chosen_format(format, as_json),
        table=lambda: "".join(map(line, values)),
        json=document,
        ndjson=lambda: to_ndjson(rows),
        csv=lambda: to_csv([{**row, "value": toml_text(row["value"])} for row in rows]),
    )
    typer.echo(shown, nl=False)


@app.command()
def init(
    path: Annotated[Path, typer.Argument(metavar="[FILE]", help="File to write.")] = Path(
        "tomic.toml"
    ),
) -> None:
    """Write a commented configuration file with every key."""
    from tomic.config.text import write_defaults

    write_defaults(path)
    typer.echo(f"{path}: written", err=True)


@app.command()
def check(config: ConfigOption = None) -> None:
    """Say what is wrong with the settings: exit code 2 if so."""
    from tomic.config.loading import leaves

    plain = dict(leaves(configuration.Settings()))
    values = configuration.origins(config)
    changed = sum(plain.get(tuple(key.split("."))) != value for key, (value, _) in values.items())
    file = configuration.config_file(config) or "no file"
    typer.echo(f"{file}: ok, {changed} of {len(values)} settings differ from the default", err=True)
    settings = configuration.load_settings(config)
    for place in _of_the_account(settings):
        if open_to_others(place):
            mode = "700" if place.is_dir() else "600"
            typer.echo(
                f"note: {place}: others of this computer may read it; chmod {mode} {place}",
                err=True,
            )


def _of_the_account(settings: configuration.Settings) -> list[Path]:
    """What tells of the account, with the folders it lies in."""
    logs = [settings.log.file, *(job.log for job in settings.jobs.values())]
    files = [settings.store.path, settings.portfolio.snapshot, *filter(None, logs)]
    folders = [file.parent for file in files if file.parent != Path()]
    return list(dict.fromkeys((*folders, *files)))


@app.command()
def path(config: ConfigOption = None) -> None:
    """Print where the configuration file is, or would be."""
    from tomic.config.loading import PROJECT_FILE, user_config_file

    file = configuration.config_file(config)
    typer.echo(file or PROJECT_FILE)
    if file is None:
        places = ", ".join(str(place) for place in (PROJECT_FILE, user_config_file()) if place)
        typer.echo(f"no such file yet; looked for {places}", err=True)


@app.command(name="set", context_settings={"ignore_unknown_options": True})
def set_(
    key: Annotated[str, typer.Argument(metavar="KEY", help="For example ib.port.")],
    value: Annotated[str, typer.Argument(metavar="VALUE", help="As TOML; quotes may be left out.")],
    config: ConfigOption = None,
) -> None:
    """Change one key of the configuration file; its comments stay."""
    from tomic.config.text import set_key, toml_text

    file, written = set_key(key, value, config)
    typer.echo(f"{file}: {key} = {toml_text(written)}", err=True)
    _, source = configuration.origins(config).get(key, (None, str(file)))
    if source != str(file):
        typer.echo(f"{source} overrides it", err=True)
