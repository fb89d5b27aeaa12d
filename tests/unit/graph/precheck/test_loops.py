"""Loops with an end in the file, and without one."""

from __future__ import annotations

import pytest

from fcn_deploy.errors import GraphError
from fcn_deploy.graph.precheck.loops import MOST_TURNS
from fcn_deploy.graph.precheck.scan import scan
from tests.hostile import calls


def test_a_loop_of_a_constant_number_of_turns_is_taken(tmp_path):
    assert scan(calls.loop(MOST_TURNS)(tmp_path)) == {}


@pytest.mark.parametrize(
    ("turns", "words"),
    [
        (MOST_TURNS + 1, "loop, of 1,000,001 turns; expected at most 1,000,000"),
        (None, "node loop, a Loop, has 2 inputs"),
    ],
)
def test_a_loop_that_nothing_ends_is_refused(tmp_path, turns, words):
    with pytest.raises(GraphError, match=words):
        scan(calls.loop(turns)(tmp_path))
