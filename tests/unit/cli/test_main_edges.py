"""Signals while Python starts or ends, and standard streams that are closed or full: an exit code and one line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and descriptors are POSIX's")

AT_AN_IMPORT = """
import os, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "cloup":
            os.kill(os.getpid(), {number})
sys.meta_path.insert(0, Finder())
sys.argv = ["fcn-deploy", "--version"]
from fcn_deploy.__main__ import run
run()
"""
AT_THE_END = """
import atexit, os, sys
atexit.register(os.kill, os.getpid(), {number})
sys.argv = ["fcn-deploy", "--version"]
from fcn_deploy.__main__ import run
run()
"""
IN_A_DESTRUCTOR = """
import os, sys, time
import fcn_deploy.cli.main as main
class Victim:
    def __del__(self):
        os.kill(os.getpid(), {number})
        time.sleep(0.01)
def work(**_):
    Victim()
    for _ in range(1000):
        time.sleep(0.01)
    print("went on to its end")
main.cli.main = work
from fcn_deploy.__main__ import run
run()
"""


# What started the tests may ignore signals, as `nohup` does, and a new process goes on ignoring them.
HEEDED = "import signal\nfor number in (1, 2, 15):\n    signal.signal(number, signal.SIG_DFL)\n"


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", HEEDED + code], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_modules_are_imported_is_an_interruption(number: signal.Signals):
    done = python(AT_AN_IMPORT.format(number=int(number)))
    assert (done.returncode, done.stderr, done.stdout) == (128 + number, "interrupted\n", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_whose_exception_python_loses_comes_again_and_nothing_is_printed_of_it(number: signal.Signals):
    done = python(IN_A_DESTRUCTOR.format(number=int(number)))
    assert (done.returncode, done.stderr, done.stdout) == (128 + number, "interrupted\n", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_after_the_result_changes_nothing(number: signal.Signals):
    done = python(AT_THE_END.format(number=int(number)))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("fcn-deploy")


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", ">/dev/full", "2>/dev/full"])
def test_a_stream_that_is_closed_or_full_is_no_traceback(closed: str, tmp_path: Path):
    words = f"{sys.executable} -m fcn_deploy"
    line = f"{words} --version {closed}; echo $?; {words} nonsense {closed}; echo $?"
    done = subprocess.run(
        ["sh", "-c", line], capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    codes = [line for line in done.stdout.splitlines() if line.isdigit()]
    assert codes == ["1" if closed == ">/dev/full" else "0", "2"]
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


WITHIN_A_LIBRARY = """
import os, sys, time
from fcn_deploy.cli import main as program
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "no_such_library":
            os.kill(os.getpid(), {number})
            time.sleep({seconds})
            print("imported")
sys.meta_path.insert(0, Finder())
def command(**_):
    try:
        import no_such_library
    except ImportError:
        time.sleep(10)
program.cli.main = command
program.main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_within_an_import_of_a_library_waits_for_its_end(number: signal.Signals):
    done = python(WITHIN_A_LIBRARY.format(number=int(number), seconds=0.1))
    assert (done.returncode, done.stderr, done.stdout) == (128 + number, "interrupted\n", "imported\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_within_the_last_import_of_a_command_is_an_interruption(number: signal.Signals):
    done = python(WITHIN_A_LIBRARY.format(number=int(number), seconds=0).replace("time.sleep(10)", "return 0"))
    assert (done.returncode, done.stderr, done.stdout) == (128 + number, "interrupted\n", "imported\n")


STUCK = """
import os, threading, time
import fcn_deploy.cli.main as program
from fcn_deploy import __main__ as entry
from fcn_deploy.system import interrupt
interrupt.PATIENCE_S = 0.2
def insist():
    while True:
        time.sleep(0.2)
        os.kill(os.getpid(), {number})
def command(**_):
    threading.Thread(target=insist, daemon=True).start()
    {work}
program.cli.main = command
entry.run()
"""
WORKS = {
    "another thread": "threading.Thread(target=time.sleep, args=(60,)).start(); time.sleep(60)",
    "a library": "__import__('hashlib').pbkdf2_hmac('sha256', b'', b'', 10**9)",
}


@pytest.mark.parametrize("work", WORKS.values(), ids=WORKS)
def test_a_second_request_ends_the_work_of(work: str):
    done = python(STUCK.format(number=int(signal.SIGTERM), work=work))
    assert done.returncode == 128 + signal.SIGTERM
    assert set(done.stderr.splitlines()) == {"interrupted"}
