"""A child's messages, answers and errors reach the parent, and each way of dying is told alike."""

from __future__ import annotations

import errno
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fcn_deploy.errors import EngineError, FcnDeployError
from fcn_deploy.system.process import ChildError, run_in_child

HEAD = """
import os, sys, time
from pathlib import Path
from fcn_deploy.errors import EngineError, ParityError
from fcn_deploy.system.process import answer_parent
"""
Run = Callable[..., object]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the body of a function of `request` and `send` in a child."""
    monkeypatch.syspath_prepend(tmp_path)

    def start(body: str, request: object = None, **options: object) -> object:
        (tmp_path / "worker.py").write_text(f"{HEAD}def work(request, send):\n    {body}\nanswer_parent(work)\n")
        return run_in_child("worker", request, **options)

    return start


def test_a_child_answers_and_sends_messages_among_what_libraries_print(run):
    recorded = []
    body = "sys.stdout.write('no end'); send([1, 'ä']); print('noise'); send({'a': None}); return request | {'n': 2}"
    assert run(body, {"path": "ü"}, on_message=recorded.append) == {"path": "ü", "n": 2}
    assert recorded == [[1, "ä"], {"a": None}]


def test_a_full_pipe_of_errors_does_not_halt_the_child(run):
    assert run("sys.stderr.write('a line of a library\\n' * 10_000); return 3", timeout_s=60) == 3


def test_the_parents_variables_and_more_reach_the_child(run, monkeypatch):
    monkeypatch.setenv("FCN_TEST_ONE", "1")
    body = "return [os.environ[name] for name in ('FCN_TEST_ONE', 'FCN_TEST_TWO')]"
    assert run(body, environment={"FCN_TEST_TWO": "2"}) == ["1", "2"]


def test_what_the_child_raises_is_raised_here(run):
    with pytest.raises(EngineError, match=r"^no such engine$"):
        run("raise EngineError('no such engine')")
    with pytest.raises(FcnDeployError, match=r"^too far off$"):
        run("raise ParityError('too far off', 0.5)")
    with pytest.raises(OSError, match=r"No such file or directory: .*nowhere") as caught:
        run("Path('nowhere/f').write_text('x')")
    assert caught.value.errno == errno.ENOENT


@pytest.mark.parametrize(
    ("body", "how"),
    [
        ("os._exit(3)", r"^ended with exit code 3$"),
        ("print('dying', file=sys.stderr, flush=True); os._exit(0)", r"^ended with exit code 0: dying$"),
        ("raise ValueError('a bug')", r"^ended with exit code 1: ValueError: a bug$"),
        ("os.kill(os.getpid(), 11)", r"^was ended by SIGSEGV$"),
        ("os.kill(os.getpid(), 9)", r"^was killed \(SIGKILL\), often because memory ran out$"),
    ],
)
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows ends processes by other ways")
def test_a_child_that_ends_without_an_answer_is_an_error_that_says_how(run, body, how):
    with pytest.raises(ChildError, match=how):
        run(body)


def test_an_answer_counts_however_the_child_ends_after_it(run):
    assert run("import atexit; atexit.register(os._exit, 7); return 'done'") == "done"


def test_a_child_that_takes_too_long_is_ended(run):
    started = time.monotonic()
    with pytest.raises(ChildError, match=r"^gave no answer within 2 s$"):
        run("time.sleep(60)", timeout_s=1.5)
    assert time.monotonic() - started < 20


def test_an_exception_here_ends_the_child_at_once(run):
    children = []

    def stop(message: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run("send(1); time.sleep(60)", on_message=stop, on_start=children.append)
    assert children[0].poll() is not None
