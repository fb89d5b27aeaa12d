"""Standard streams that are full or without a reader; `tests/hostile/cases/streams.py` tries them in commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the descriptors are POSIX's")

WORK = """
from fcn_deploy.system.streams import prepare_streams
prepare_streams()
print("first", flush=True)
for _ in range(3):
    print("x" * 70_000, flush=True)
raise SystemExit(3)
"""


def test_the_work_goes_on_to_its_exit_code_when_the_reader_ends():
    with subprocess.Popen([sys.executable, "-c", WORK], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as done:
        assert done.stdout is not None
        assert done.stdout.readline() == b"first\n"
        done.stdout.close()
        assert done.stderr is not None
        assert done.stderr.read() == b""
    assert done.returncode == 3


def test_a_full_standard_error_keeps_the_exit_code_and_a_full_standard_output_is_an_error():
    code = "import sys; from fcn_deploy.system.streams import *; prepare_streams(); print(1, file=sys.{}, flush=True)"
    with Path("/dev/full").open("w") as full:
        error = subprocess.run([sys.executable, "-c", code.format("stderr")], stderr=full, check=False)
        output = subprocess.run(
            [sys.executable, "-c", code.format("stdout")], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert error.returncode == 0
    assert b"No space left" in output.stderr
