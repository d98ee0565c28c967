"""What surrounds the code holds together: workflows, forms, hooks, pins, version, container."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import tomic
from support.command_line import TREE

ROOT = Path(__file__).parents[1]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NOXFILE = (ROOT / "noxfile.py").read_text(encoding="utf-8")
SESSIONS = set(re.findall(r"^@nox\.session.*\ndef (\w+)\(", NOXFILE, re.M))
PYTHONS = [
    version
    for line in PROJECT["classifiers"]
    if (version := line.removeprefix("Programming Language :: Python :: "))[:2] == "3."
]


def parsed(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def jobs() -> list:
    """Every job of every workflow, with its name."""
    return [
        pytest.param(job, id=f"{path.stem}-{name}")
        for path in WORKFLOWS
        for name, job in parsed(path)["jobs"].items()
    ]


def lines_of(job: dict):
    """The commands of a job, with each value of its matrix put in."""
    matrix = job.get("strategy", {}).get("matrix", {})
    for step in job["steps"]:
        lines = [step["run"]] if "run" in step else []
        for key, values in matrix.items():
            slot = f"${{{{ matrix.{key} }}}}"
            lines = [line.replace(slot, value) for line in lines for value in values]
        yield from lines


@pytest.mark.parametrize("job", jobs())
def test_a_job_has_a_limit_and_only_the_rights_it_names(job):
    """No job runs for ever, and none may write but the two that release."""
    assert 0 < job["timeout-minutes"] <= 240
    rights = job["permissions"]
    assert rights in ({"contents": "read"}, {"id-token": "write"}, {"contents": "write"})


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_gives_no_right_by_default(path):
    """Rights are a job's; runs of one branch do not pile up."""
    workflow = parsed(path)

    assert workflow["permissions"] == {}
    assert workflow["concurrency"]["group"]


def test_only_a_release_may_write():
    """Publishing has no secret and no source; only it may ask for the index's trust."""
    writing = {
        f"{path.stem} {name}": job
        for path in WORKFLOWS
        for name, job in parsed(path)["jobs"].items()
        if "write" in job["permissions"].values()
    }

    assert sorted(writing) == ["release notes", "release publish"]
    publish = writing["release publish"]
    assert publish["environment"] == "pypi"
    assert [step["uses"].partition("@")[0] for step in publish["steps"]] == [
        "actions/download-artifact", "pypa/gh-action-pypi-publish"
    ]  # fmt: skip
    assert "secrets." not in "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)


@pytest.mark.parametrize("job", jobs())
def test_an_action_is_pinned_and_a_checkout_keeps_no_token(job):
    """A major version or a commit, never a branch that moves under us."""
    for step in job["steps"]:
        assert ("uses" in step) != ("run" in step)
        if "uses" in step:
            name, _, version = step["uses"].partition("@")
            # The index's own action has its major version as a branch of releases.
            assert re.fullmatch(r"v\d+|[0-9a-f]{40}|release/v1", version), step["uses"]
            if name == "actions/checkout":
                assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("job", jobs())
def test_a_command_is_a_session_that_exists(job):
    """`nox -s NAME` names a session of noxfile.py; nothing of an event is put into a command."""
    for line in lines_of(job):
        assert "${{" not in line
        if line.startswith("nox "):
            words = shlex.split(line.partition(" -- ")[0])
            assert words[1] == "-s"
            named = {re.sub(r"-3\.\d+$", "", word) for word in words[2:]}
            assert named and named <= SESSIONS


def test_every_python_of_the_package_is_tested():
    """Classifiers, `requires-python`, the matrix of CI and the pages name the same versions."""
    matrix = parsed(GITHUB / "workflows" / "ci.yml")["jobs"]["tests"]["strategy"]["matrix"]

    assert matrix["python"] == PYTHONS == sorted(PYTHONS, key=lambda text: int(text[2:]))
    assert PROJECT["requires-python"] == f">={PYTHONS[0]}"
    assert {name.partition("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}
    releasing = (ROOT / "docs" / "releasing.md").read_text(encoding="utf-8")
    assert f"`tests-{PYTHONS[0]}` to `-{PYTHONS[-1]}`" in releasing


def test_ci_builds_once():
    """The jobs that test the wheel take the one that was built before."""
    for path in WORKFLOWS[:1] + WORKFLOWS[-1:]:
        for job in parsed(path)["jobs"].values():
            sessions = " ".join(lines_of(job))
            if "tests-" in sessions or "lowest" in sessions:
                assert (job["needs"], job["env"]) == ("build", {"TOMIC_BUILT": "1"})


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_can_be_filled_in(path):
    """Each field has a label and an id of its own; commands it names exist."""
    form = parsed(path)
    if path.stem == "config":
        assert form["blank_issues_enabled"] is False
        return
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert form["name"] and form["description"]
    assert len({field["id"] for field in fields}) == len(fields)
    assert all(field["attributes"]["label"] for field in fields)
    named = set(re.findall(r"`tomic ([a-z]+)", path.read_text(encoding="utf-8")))
    assert named <= set(TREE.commands)


def test_the_bug_form_asks_for_a_recording_and_the_doctor():
    """Both are asked for always: with them a fault runs again here."""
    form = parsed(GITHUB / "ISSUE_TEMPLATE" / "bug.yml")
    fields = {field["id"]: field for field in form["body"] if "id" in field}

    for name, command in {"recording": "tomic record", "doctor": "tomic doctor"}.items():
        assert command in str(fields[name]["attributes"])
        assert fields[name]["validations"]["required"] is True


def test_hooks_run_what_is_pinned():
    """Every hook is local, so no version of a tool stands in a second place."""
    config = parsed(ROOT / ".pre-commit-config.yaml")
    pinned = {line.partition("==")[0] for line in read_pins()}

    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    for hook in config["repos"][0]["hooks"]:
        tool = hook["entry"].removeprefix("python -m ").split()[0]
        assert hook["language"] == "system" and tool in pinned


def read_pins() -> list[str]:
    return (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()


def test_pins_are_names_and_versions():
    """`nox -s constraints` writes them; no address, no path, no comment, each once, in order."""
    pins = read_pins()

    odd = [pin for pin in pins if not re.fullmatch(r"[\w.-]+==\d[\w.!+]*", pin)]
    names = [pin.partition("==")[0].lower() for pin in pins]
    assert odd == []
    assert len(set(names)) == len(names)


def test_the_container_does_what_the_readme_says():
    """It runs the README's own demo command, which stands in one place."""
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text("utf-8"))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"<!-- demo -->\n```sh\n(.+?)\n```", readme, re.S)

    assert container["postCreateCommand"] == "bash .devcontainer/demo"
    if sys.platform != "win32":
        shown = subprocess.run(
            ["bash", ROOT / ".devcontainer" / "demo", "--show"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert block is not None and shown.stdout.strip() == block[1].strip()


def test_the_version_stands_in_one_place():
    """The build reads it there; the form for bugs shows it as an example."""
    form = (GITHUB / "ISSUE_TEMPLATE" / "bug.yml").read_text(encoding="utf-8")

    assert "version" in PROJECT["dynamic"] and "version" not in PROJECT
    assert f"tomic {tomic.__version__}," in form


def test_who_owns_it_is_said_to_be_open():
    """One placeholder in every address, which `nox -s release` does not let through."""
    owned = (GITHUB / "CODEOWNERS").read_text(encoding="utf-8")
    addresses = [*PROJECT["urls"].values(), *re.findall(r"@(\S+)/maintainers", owned)]

    assert len({re.sub(r"https://github\.com/(\w+)/.*", r"\1", text) for text in addresses}) == 1
    assert 'PLACEHOLDER = "OWNER"' in NOXFILE


def test_what_surrounds_the_code_is_in_the_sdist():
    """Whoever builds from the sdist has these files, and tests of them run there."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    included = tomllib.loads(text)["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]

    for name in (".github", ".devcontainer", ".pre-commit-config.yaml", "CODE_OF_CONDUCT.md"):
        assert f"/{name}" in included and (ROOT / name).exists()
