"""What the command shows of what it and its libraries log."""

import os
import subprocess
import sys

import pytest

from tests.regression.test_files import OURS

PROGRAM = """
import logging, sys
from fairseq_gist.cli.main import main
main(["show", sys.argv[1]])
for name in ("fairseq_gist.cli.show", "torch", "fairseq"):
    logging.getLogger(name).info(f"{name} informs")
    logging.getLogger(name).warning(f"{name} warns")
"""


@pytest.mark.parametrize(
    ("level", "found"),
    [
        ("", ["fairseq_gist.cli.show informs"]),
        ("INFO", ["fairseq_gist.cli.show informs", "torch informs", "fairseq informs"]),
        ("WARNING", []),
    ],
)
def test_of_libraries_only_warnings_unless_more_is_asked_for(level, found):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, str(OURS / "plans" / "gradient.json")],
        env={**os.environ, "LOGLEVEL": level},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stderr.splitlines()
    assert [line for line in lines if line.endswith(" informs")] == found
    assert sum(line.endswith(" warns") for line in lines) == 3
