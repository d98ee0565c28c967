"""Sessions: tests, lint, types, demo, bench, soak, faults. `nox -l` lists them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "tests", "demo"]
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_external_run = True

PYTHONS = [
    line.rsplit(" ", 1)[1].rstrip('",')
    for line in Path("pyproject.toml").read_text(encoding="utf-8").splitlines()
    if "Programming Language :: Python :: 3." in line
]
PINS = ("-c", "constraints.txt")
BRANCHES_REACHED = 92.0


def install_dev(session: nox.Session) -> None:
    """The package from its source tree with everything for development."""
    session.install("-q", "-U", "pip")
    session.install("-q", *PINS, "-e", ".[all]", "--group", "dev")


def build_wheel(session: nox.Session) -> Path:
    """The wheel, built once per run of nox."""
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "-m", "pip", "wheel", "-q", "--no-deps", "-w", "dist", ".")
    return next(Path("dist").glob("tomic-*.whl"))


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the suite; arguments go to pytest."""
    install_dev(session)
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format."""
    session.install("-q", *PINS, "ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types of the package strictly."""
    install_dev(session)
    session.run("mypy")


@nox.session
def demo(session: nox.Session) -> None:
    """Install the built wheel into an environment of its own and run the main job."""
    session.install("-q", "-U", "pip")
    wheel = build_wheel(session)
    session.install("-q", *PINS, str(wheel))
    session.chdir(session.create_tmp())
    session.run("tomic", "chain", "SPY", "--demo", "--no-export", silent=True)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure beside peers; arguments choose parts, such as `nox -s bench -- quant`."""
    install_dev(session)
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """Long runs: many chains under random faults, kills during writes, brute force, properties."""
    install_dev(session)
    pytest = ("python", "-m", "pytest", "-n", "0", "--timeout", "0")
    # Every property is tried in the suite too, on fewer examples.
    chosen = ("-m", "soak or hypothesis", "--hypothesis-profile", "soak")
    session.run(*pytest, *chosen, *session.posargs)
    session.run("python", "benchmarks/soak_store.py")


@nox.session
def faults(session: nox.Session) -> None:
    """Run every fault and write docs/faults.md."""
    install_dev(session)
    session.run("python", "-m", "benchmarks.faults", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Run the suite; print and judge how much of the package's lines and branches it reaches."""
    install_dev(session)
    found = Path(session.create_tmp()) / "coverage.json"
    reports = ("--cov", "--cov-report=term", f"--cov-report=json:{found}")
    session.run("python", "-m", "pytest", *reports, *session.posargs)
    # `fail_under` judges lines and branches together; branches alone are the harder figure.
    totals = json.loads(found.read_text(encoding="utf-8"))["totals"]
    share = 100.0 * totals["covered_branches"] / totals["num_branches"]
    session.log(f"branches reached: {totals['covered_branches']} of {totals['num_branches']}")
    session.log(f"branch coverage: {share:.1f} %, with lines: {totals['percent_covered']:.1f} %")
    if share < BRANCHES_REACHED:
        session.error(f"branch coverage must be >= {BRANCHES_REACHED} %")


@nox.session
def mutation(session: nox.Session) -> None:
    """Mutate what judges money; fail on a survivor that docs/mutation.md does not explain."""
    install_dev(session)
    session.install("-q", *PINS, "mutmut")
    session.run("python", "-m", "benchmarks.mutation", *session.posargs)
