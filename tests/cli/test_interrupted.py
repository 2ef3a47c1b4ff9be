"""How a command ends that is interrupted, or whose reader has gone."""

from __future__ import annotations

import subprocess
import sys

import pytest

from spectralid.cli import info, main
from spectralid.cli._exit import Exit


def test_interrupted_ends_like_a_shell_says_it(monkeypatch, capsys) -> None:
    def interrupted(args: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(info, "run", interrupted)
    assert main(["info", "x.csv"]) == Exit.INTERRUPTED == 130
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="pipes close otherwise there")
def test_a_reader_that_has_gone_is_no_error_message() -> None:
    code = "import sys; from spectralid.cli import main; sys.exit(main(['library', 'info']))"
    done = subprocess.run(
        ["/bin/sh", "-c", f"{{ '{sys.executable}' -c \"{code}\"; echo $? >&2; }} | exec 0<&-"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr.strip() == str(int(Exit.PIPE_CLOSED)) == "141"
