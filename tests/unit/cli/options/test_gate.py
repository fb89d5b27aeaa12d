"""What `bench` says of its gate on standard error."""

from __future__ import annotations

import pytest

from fcn_deploy.benchmark.gate.checks import GateCheck
from fcn_deploy.benchmark.gate.result import GateResult
from fcn_deploy.cli.options.gate import Gate

LIMIT = "--max-miou-drop 0.3"
PASS = f"PASS: a: within {LIMIT} of PyTorch; broken by c"
GATE = Gate(None, None, 0.3, None, None, None, relative=False, strict=False, junit_path=None)


def result(**verdicts: str) -> GateResult:
    checks = tuple(GateCheck(row, LIMIT, verdict, f"{row} fell") for row, verdict in verdicts.items())
    return GateResult("PyTorch", True, False, checks, tuple(verdicts))


@pytest.mark.parametrize(
    ("shown", "lines"),
    [
        ((), ["not judged: b: b fell", "broken against PyTorch: c: c fell", PASS]),
        (("broken: c: c fell", "not judged: b: b fell"), [PASS]),
    ],
)
def test_no_line_that_the_terminal_shows_comes_again(shown, lines, capsys, monkeypatch):
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    GATE.say(result(a="passed", b="not judged", c="broken"), shown)
    assert capsys.readouterr().err.splitlines() == lines


def test_the_sentence_of_the_last_line_comes_once(capsys, monkeypatch):
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    GATE.say(result(b="broken", c="broken"))
    other, last = capsys.readouterr().err.splitlines()
    assert other == "broken against PyTorch: c: c fell"
    assert last == "FAIL: broken against PyTorch: b: b fell (and 1 more, see above)"
    GATE.say(result(b="broken"))
    assert capsys.readouterr().err == "FAIL: broken against PyTorch: b: b fell\n"
