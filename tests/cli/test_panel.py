"""`tomic panel` as a command: when it refuses, and what it costs those who do not use it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

from support.command_line import start


def in_terminal(code: str, cwd) -> tuple[int, str]:
    """Run Python code with a terminal as its input and output."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"HOME": str(cwd), "XDG_CONFIG_HOME": str(cwd), "TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd, env=environment, close_fds=True,
    )  # fmt: skip
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:
            break
        if not part:
            break
        said += part
    os.close(ours)
    return process.wait(120), said.decode("utf-8", "replace")


def test_without_a_terminal_it_refuses(tmp_path):
    """Code 2, and a way out: every view has a command."""
    process = start("panel", "--demo", cwd=tmp_path, stdin=subprocess.DEVNULL)
    out, said = process.communicate(timeout=120)

    assert process.returncode == 2
    assert out == ""
    assert "needs a terminal" in said


def test_without_textual_it_names_the_extra(tmp_path):
    """Code 2, and what to install."""
    code = (
        "import sys; sys.modules['textual'] = None; sys.argv = ['tomic', 'panel', '--demo'];"
        "from tomic.cli.app import main; main()"
    )

    code_of_exit, said = in_terminal(code, tmp_path)

    assert code_of_exit == 2
    assert "pip install '.[panel]'" in said


def test_demo_and_replay_exclude_each_other(tmp_path):
    """Refused before anything is drawn."""
    code = (
        "import sys; sys.argv = ['tomic', 'panel', '--demo', '--replay', 'x.csv'];"
        "from tomic.cli.app import main; main()"
    )

    code_of_exit, said = in_terminal(code, tmp_path)

    assert code_of_exit == 2
    assert "exclude each other" in said


def test_the_help_does_not_import_textual():
    """Who never opens the panel does not wait for it."""
    code = (
        "import sys\nsys.argv = ['tomic', '--help']\nfrom tomic.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\nprint('textual' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "False"
