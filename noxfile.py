"""
What proves a release, and what measures the program. `nox -l` lists the sessions.

`nox` alone builds the distribution once and tests the wheel, never the source tree: on every
supported Python with the pinned versions, and on the oldest with the lowest versions admitted.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import nox
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["lint", "types", "tests", "lowest", "demo", "dependencies"]
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_external_run = True

ROOT = Path(__file__).parent
DIST = ROOT / "dist"
SHARED = ROOT.parent / "shared"
"""Recorded chains and published vectors; tests that read them are skipped where they lack."""
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
PINS = ("-c", str(ROOT / "constraints.txt"))
LICENCES = ROOT / "docs" / "licences.md"
BUILT = "TOMIC_BUILT"
"""Set where ``dist`` holds what another machine built, as in CI: it is tested as it is."""
PLACEHOLDER = "OWNER"
"""Stands in addresses of the repository until it has one."""


def install_dev(session: nox.Session) -> None:
    """The package from its source tree with everything for development."""
    session.install("-q", *PINS, "-e", ".[all]", "--group", "dev")


def wheel(extra: str = "") -> str:
    """The wheel that the session `build` made, as a requirement."""
    return f"tomic[{extra}] @ {next(DIST.glob('tomic-*.whl')).as_uri()}"


@contextlib.contextmanager
def outside_the_tree(session: nox.Session) -> Iterator[None]:
    """A temporary folder with the sdist's files but without its `src`, as the working folder."""
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(next(DIST.glob("tomic-*.tar.gz"))) as sdist:
            # Pythons before 3.11.4, Debian's among them, know no filter; the archive is our own.
            filtered = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            sdist.extractall(folder, **filtered)
        tree = next(Path(folder).iterdir())
        shutil.rmtree(tree / "src")
        if SHARED.exists():
            (tree.parent / SHARED.name).symlink_to(SHARED)
        with session.chdir(tree):
            yield


def try_the_wheel(session: nox.Session) -> None:
    """The whole suite and the main job on what is installed, out of reach of the source tree."""
    session.install("-q", "pip")
    with outside_the_tree(session):
        session.run("python", "-m", "pip", "check")
        session.run("python", "-m", "pytest", *session.posargs)
        session.run("tomic", "scan", "--demo")


def lowest_versions() -> list[str]:
    """A pin at the lower bound of each requirement of the package, its extras and `dev`."""
    given = [
        *PROJECT["project"]["dependencies"],
        *(one for extra in PROJECT["project"]["optional-dependencies"].values() for one in extra),
        *nox.project.dependency_groups(PROJECT, "dev"),
    ]
    return [
        f"{requirement.name}=={bound.version}"
        for requirement in map(Requirement, given)
        for bound in requirement.specifier
        if bound.operator == ">="
    ]


def pins_in(text: str) -> dict[str, str]:
    """Version by normalised name of lines such as ``name==version``."""
    pairs = (line.split("==") for line in text.split())
    return {canonicalize_name(name): version for name, version in pairs}


@nox.session
def build(session: nox.Session) -> None:
    """Build the sdist, from it the wheel, and look at what they hold."""
    if os.environ.get(BUILT):
        session.log(f"{BUILT} is set: testing {next(DIST.glob('tomic-*.whl')).name} as it is")
        return
    session.install("-q", *PINS, "build", "hatchling")
    shutil.rmtree(DIST, ignore_errors=True)
    session.run("python", "-m", "build", "--no-isolation", "--outdir", str(DIST), silent=True)

    tracked = set(session.run("git", "ls-files", external=True, silent=True).split())
    with tarfile.open(next(DIST.glob("tomic-*.tar.gz"))) as sdist:
        in_sdist = {name.partition("/")[2] for name in sdist.getnames()}
    if differ := in_sdist ^ (tracked | {"PKG-INFO"}):
        session.error(f"sdist: not as git has it: {sorted(differ)}")
    with zipfile.ZipFile(next(DIST.glob("tomic-*.whl"))) as archive:
        in_wheel = {f"src/{name}" for name in archive.namelist() if name.startswith("tomic/")}
    if differ := in_wheel ^ {name for name in tracked if name.startswith("src/")}:
        session.error(f"wheel: not as git has it: {sorted(differ)}")


@nox.session(python=PYTHONS, requires=["build"], reuse_venv=False)
def tests(session: nox.Session) -> None:
    """Run the suite on the wheel with the pinned versions; arguments go to pytest."""
    session.install("-q", *PINS, wheel("all"), "--group", "dev")
    try_the_wheel(session)


@nox.session(python=PYTHONS[0], requires=["build"], reuse_venv=False)
def lowest(session: nox.Session) -> None:
    """Run the suite on the wheel with the lowest versions that pyproject.toml admits."""
    pins = Path(session.create_tmp()) / "lowest.txt"
    pins.write_text("\n".join(lowest_versions()), encoding="utf-8")
    session.install("-q", "-c", str(pins), wheel("all"), "--group", "dev")
    try_the_wheel(session)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format and spelling."""
    session.install("-q", *PINS, "ruff", "codespell")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("codespell")


@nox.session
def types(session: nox.Session) -> None:
    """Check types of the package strictly."""
    install_dev(session)
    session.run("mypy")
    # As somebody's editor reads what they write over it.
    session.run("pyright", "--pythonpath", f"{session.bin}/python", "examples")


@nox.session(requires=["build"], reuse_venv=False)
def demo(session: nox.Session) -> None:
    """Run the main job and type-check the examples on the wheel alone, without its extras."""
    session.install("-q", *PINS, wheel(), "mypy", "pandas-stubs")
    with outside_the_tree(session):
        session.run("tomic", "chain", "SPY", "--demo", "--no-export", silent=True)
        session.run("mypy", "--strict", "--config-file", "", "examples")


@nox.session(requires=["build"], reuse_venv=False)
def dependencies(session: nox.Session) -> None:
    """Check that requirements are used, agree, are all pinned, and that licences are listed."""
    session.install("-q", *PINS, wheel("all"), "pip-licenses")
    table = session.run(
        *("pip-licenses", "--from=mixed", "--format=markdown", "--no-version", "--with-urls"),
        *("--ignore-packages", "tomic"),
        silent=True,
    )
    before = LICENCES.read_text(encoding="utf-8")
    after = before.partition("| Name")[0] + table.strip() + "\n"
    LICENCES.write_text(after, encoding="utf-8")

    session.install("-q", *PINS, "pip", "--group", "dev", "--group", "docs", "--group", "mutation")
    session.run("python", "-m", "pip", "check")
    session.run("deptry", "src", "examples")
    frozen = session.run("python", "-m", "pip", "freeze", "--exclude", "tomic", silent=True)
    installed = pins_in(frozen)
    pinned = pins_in((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    groups = nox.project.dependency_groups(PROJECT, "peers", "clients")
    elsewhere = set(map(canonicalize_name, groups))
    needless = pinned.keys() - installed.keys() - elsewhere
    if pinned | installed != pinned or needless:
        unlike = sorted(installed.items() - pinned.items())
        session.error(f"constraints.txt: installed {unlike}, not needed {sorted(needless)}")
    if after != before:
        session.error(f"{LICENCES.name} was out of date; it is written anew")


def resolved(session: nox.Session, *wanted: str) -> dict[str, str]:
    """Version by name of what pip would install for *wanted*, tomic itself left out."""
    report = Path(session.create_tmp()) / "report.json"
    session.run(
        *("python", "-m", "pip", "install", "-q", "--dry-run", "--ignore-installed"),
        *("--report", str(report), *wanted),
        silent=True,
    )
    installed = json.loads(report.read_text(encoding="utf-8"))["install"]
    found = {item["metadata"]["name"]: item["metadata"]["version"] for item in installed}
    return {name: version for name, version in found.items() if canonicalize_name(name) != "tomic"}


@nox.session
def constraints(session: nox.Session) -> None:
    """Resolve everything anew and write constraints.txt: names and versions, no addresses."""
    session.install("-q", "pip>=25.1")
    groups = ("--group", "dev", "--group", "docs", "--group", "mutation")
    pins = resolved(session, "-e", ".[all]", *groups)
    # Peers and clients have environments of their own: they are pinned, what they need is not.
    for alone in nox.project.dependency_groups(PROJECT, "peers", "clients"):
        pins = resolved(session, "--no-deps", alone) | pins
    lines = sorted((f"{name}=={version}\n" for name, version in pins.items()), key=str.lower)
    (ROOT / "constraints.txt").write_text("".join(lines), encoding="utf-8")
    session.log("constraints.txt is written; run `nox` before you commit it")


@nox.session(venv_backend="none")
def release(session: nox.Session) -> None:
    """Check that a tag can be released: `nox -s release -- v0.2.0`."""
    text = (ROOT / "src" / "tomic" / "_version.py").read_text(encoding="utf-8")
    version = re.findall(r'__version__ = "(.+)"', text)[0]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    wrong = []
    if session.posargs != [f"v{version}"]:
        wrong.append(f"the tag is {session.posargs}, the version {version}")
    if not re.search(rf"^## {re.escape(version)} .*\d{{4}}-\d\d-\d\d$", changes, re.M):
        wrong.append(f"CHANGELOG.md has no dated section of {version}")
    for path in (ROOT / "pyproject.toml", ROOT / ".github" / "CODEOWNERS"):
        if PLACEHOLDER in path.read_text(encoding="utf-8"):
            wrong.append(f"{path.name} still names {PLACEHOLDER}")
    if wrong:
        session.error("; ".join(wrong))


@nox.session
def docs(session: nox.Session) -> None:
    """Build the pages into build/site, strictly; `nox -s docs -- serve` shows them."""
    session.install("-q", *PINS, "--group", "docs")
    # Of no use to a build that is pinned: what its makers say about versions to come.
    session.env["NO_MKDOCS_2_WARNING"] = "1"
    session.run("mkdocs", *(session.posargs or ("build", "--strict", "--quiet")))


@nox.session
def pictures(session: nox.Session) -> None:
    """Make the pictures of the pages, the outputs in them, and those of the notebook anew."""
    install_dev(session)
    session.run("python", "tests/support/pictures.py")
    session.run("python", "tests/support/notebook.py")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure beside peers: `nox -s bench -- [PART …] [--json FILE] [--page]`."""
    install_dev(session)
    # The peers' environments first, so that no installation is going on while anything is timed.
    session.run("python", "-m", "benchmarks.peers", success_codes=[0, 1])
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def clients(session: nox.Session) -> None:
    """Run other clients against `tomic gateway`; `nox -s clients -- ib_async` runs one of them."""
    install_dev(session)
    session.run("python", "-m", "benchmarks.clients", *session.posargs)


ALONE = "tests/test_soak.py"
"""Measures the memory of the process that it runs in."""


@nox.session
def soak(session: nox.Session) -> None:
    """Long runs: many chains under random faults, kills during writes, brute force, properties."""
    install_dev(session)
    pytest = ("python", "-m", "pytest", "--timeout", "0")
    # In a process of their own: what other tests leave in caches is no memory of theirs.
    session.run(*pytest, "-n", "0", "-m", "soak", ALONE, *session.posargs)
    session.run(*pytest, "-m", "soak", "--ignore", ALONE, *session.posargs)
    # Every property is tried in the suite too, on fewer examples.
    chosen = ("-m", "hypothesis and not soak", "--hypothesis-profile", "soak")
    session.run(*pytest, *chosen, *session.posargs)
    session.run("python", "benchmarks/soak_store.py")


BUSY, BESIDE = 4, 8
"""Processes that keep every core busy in `nox -s stress`, and workers of the suite beside them."""


@contextlib.contextmanager
def busy_machine() -> Iterator[None]:
    """Processes that compute for as long as the body runs."""
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(BUSY)]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
        for hog in hogs:
            hog.wait()


@nox.session
def stress(session: nox.Session) -> None:
    """Run the suite three times beside busy processes, each time in another order: all green."""
    install_dev(session)
    with busy_machine():
        for _ in range(3):
            order = ("--shuffle", str(random.randrange(2**32)))
            # What hangs is ended; what is only slow has the time that a busy machine needs.
            # Each worker has eleven processes beside it, and together they get two thirds of the
            # machine: as hard for a test as more that do nothing, and sooner done.
            suite = ("python", "-m", "pytest", "-n", str(BESIDE), "--timeout", "1800")
            session.run(*suite, *order, *session.posargs)


@nox.session
def faults(session: nox.Session) -> None:
    """Run every fault and write docs/faults.md."""
    install_dev(session)
    session.run("python", "-m", "benchmarks.faults", *session.posargs)
    session.run("python", "tests/support/wire_messages.py")


@nox.session
def fuzz(session: nox.Session) -> None:
    """Hostile input: `nox -s fuzz -- [--kinds …] [--minutes M | --cases …] [--workers N]`."""
    install_dev(session)
    session.run("python", "-m", "benchmarks.fuzz", *session.posargs)


@nox.session
def security(session: nox.Session) -> None:
    """Read the source for weaknesses, and ask for advisories about the pinned versions."""
    install_dev(session)
    session.run("python", "-m", "benchmarks.security")


@nox.session
def coverage(session: nox.Session) -> None:
    """Run the suite; print and judge how much of the package's lines and branches it reaches."""
    install_dev(session)
    found = Path(session.create_tmp()) / "coverage.json"
    reports = ("--cov", "--cov-report=term", f"--cov-report=json:{found}")
    session.run("python", "-m", "pytest", *reports, *session.posargs)
    # `fail_under` has judged lines and branches together; branches alone are the harder figure.
    totals = json.loads(found.read_text(encoding="utf-8"))["totals"]
    share = 100.0 * totals["covered_branches"] / totals["num_branches"]
    session.log(f"lines and branches: {totals['percent_covered']:.1f} %")
    session.log(
        f"branches alone: {share:.1f} %, {totals['covered_branches']} of {totals['num_branches']}"
    )


@nox.session
def mutation(session: nox.Session) -> None:
    """Mutate what judges money; fail on a survivor that docs/mutation.md does not explain."""
    install_dev(session)
    session.install("-q", *PINS, "--group", "mutation")
    session.run("python", "-m", "benchmarks.mutation", *session.posargs)
