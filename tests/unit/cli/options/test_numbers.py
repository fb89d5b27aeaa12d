"""Numbers on the command line have both ends, and nan is in no range."""

from __future__ import annotations

import click
import pytest

from fcn_deploy.cli.options import numbers
from fcn_deploy.cli.options.numbers import Number, ThreadCount, WholeNumber
from fcn_deploy.system.arguments import MOST_THREADS, most_threads_here


@pytest.mark.parametrize("text", ["nan", "-nan", "inf", "-inf", "-1", "1.01", "1e308", "", "x"])
def test_only_a_number_between_the_ends_is_taken(text: str):
    with pytest.raises(click.BadParameter):
        Number(0, 1).convert(text, None, None)


def test_the_message_has_the_range():
    with pytest.raises(click.BadParameter, match="nan is not in the range 0<x<1"):
        Number(0, 1, above=True, below=True).convert("nan", None, None)


def test_an_end_is_taken_unless_it_is_left_out():
    assert Number(0, 1).convert("1", None, None) == 1.0
    assert WholeNumber(0, 3).convert("0", None, None) == 0
    with pytest.raises(click.BadParameter):
        Number(0, 1, below=True).convert("1", None, None)


def test_threads_beyond_what_the_machine_runs_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert most_threads_here() == 16
    assert ThreadCount().convert("16", None, None) == 16
    with pytest.raises(click.BadParameter, match="17 is more than this machine runs; give at most 16"):
        ThreadCount().convert("17", None, None)
    monkeypatch.setattr("os.cpu_count", lambda: 512)
    assert most_threads_here() == MOST_THREADS


def test_every_shared_type_has_both_ends():
    shared = [each for each in vars(numbers).values() if isinstance(each, (WholeNumber, Number))]
    assert len(shared) > 5
    assert all(None not in (each.min, each.max) for each in shared)
