"""Commands that are stopped leave whole outputs or none, and the next run leaves nothing else; few moments of two here.

`make hostile` has a hundred of every command that writes.
"""

from __future__ import annotations

import errno
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests.hostile.kills import shim
from tests.hostile.kills.__main__ import crowded, prepared, stopped, stopped_over_older
from tests.hostile.kills.attempts import Bench, Moment
from tests.hostile.kills.commands import COMMANDS
from tests.hostile.kills.crowds import crowds, together
from tests.hostile.kills.moments import moments
from tests.hostile.kills.shim import Fault

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the library that counts operations is Linux's"),
    pytest.mark.skipif(bool(shim.missing()), reason=shim.missing() or "-"),
]
FEW = 6
LIMITS = [Fault(signal=signal.SIGXCPU), Fault(error=errno.ENOMEM), Fault(error=errno.EDQUOT, onwards=True)]


def test_a_command_that_is_stopped_leaves_whole_outputs_or_none_and_the_next_run_nothing_else():
    with prepared("quantize fp16") as bench:
        wanted = bench.undisturbed()
        tried = moments(FEW, wanted, 7)
        limits = [Moment(replace(fault, at=wanted.operations // 2)) for fault in LIMITS]
        crowd = next(crowds(1, 7))
        assert [line for moment in [*tried, *limits] for line in bench.attempt(moment, wanted)] == []
        assert together(bench, wanted, {}, crowd) == []


@pytest.mark.long
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_that_writes_can_be_stopped(name):
    _, found = stopped(name, 20, 3)
    assert [line for lines in found for line in lines] == []


@pytest.mark.long
@pytest.mark.parametrize(
    "name",  # a kill between the moves of an engine and of its sidecar leaves no engine
    [name for name, command in COMMANDS.items() if command.rival and name != "build-engine"],
)
def test_outputs_of_an_older_run_are_replaced_whole(name):
    _, found = stopped_over_older(name, 20, 3)
    assert [line for lines in found for line in lines] == []


@pytest.mark.long
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_that_writes_can_share_its_outputs(name):
    _, found = crowded(name, 4, 3)
    assert [line for lines in found for line in lines] == []


@pytest.fixture
def bench() -> Iterator[Bench]:
    with prepared("data check") as bench:
        yield bench


def _first(bench: Bench, spoil: Callable[[], None]) -> str:
    """Return the kind of the first fault of an attempt whose files `spoil` has changed before they are looked at."""
    wanted, run = bench.undisturbed(), bench.run

    def spoiled(*arguments: object, **options: object) -> dict[str, object]:
        done = run(*arguments, **options)
        spoil()
        return done

    bench.run = spoiled
    lines = bench.attempt(Moment(Fault(at=wanted.operations, signal=signal.SIGKILL)), wanted)
    return next(iter(lines), "").partition(":")[0]


@pytest.mark.long
@pytest.mark.parametrize(
    ("fault", "spoil"),
    [
        ("", lambda bench: None),
        ("torn", lambda bench: (bench.out / "d.json").write_text("{")),
        ("lost", lambda bench: (bench.own / "list.txt").write_text("")),
        ("left behind", lambda bench: (bench.tmp / "fcn-deploy-x").mkdir(exist_ok=True)),
    ],
)
def test_each_fault_is_noticed(bench, fault, spoil):
    assert _first(bench, lambda: spoil(bench)) == fault
