"""Functions of a file that libraries can put in place, and those that they cannot."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from fcn_deploy.errors import GraphError
from fcn_deploy.graph.precheck.functions import DEEPEST_CALLS, MAIN, Operator, check_functions
from fcn_deploy.graph.precheck.scan import scan
from tests.hostile import calls

CONV = Operator("", "Conv")


def own(name: str) -> Operator:
    return Operator("own", name)


def test_nodes_are_counted_with_all_functions_in_place():
    called = {
        MAIN: Counter({CONV: 3, own("A"): 2}),
        own("A"): Counter({CONV: 5, own("B"): 4}),
        own("B"): Counter([CONV]),
    }
    check_functions(Path("m.onnx"), called, 3 + 2 * (5 + 4))
    with pytest.raises(GraphError, match=r"m\.onnx has more than 20 nodes, .* where its 2 functions are put in place"):
        check_functions(Path("m.onnx"), called, 20)


@pytest.mark.parametrize("levels", [DEEPEST_CALLS, DEEPEST_CALLS + 1])
def test_functions_in_functions_have_a_greatest_depth(levels):
    names = [MAIN, *(own(str(level)) for level in range(levels))]
    called = {name: Counter(names[level + 1 : level + 2]) for level, name in enumerate(names)}
    if levels == DEEPEST_CALLS:
        check_functions(Path("m.onnx"), called, 1000)
    else:
        with pytest.raises(GraphError, match="functions more than 100 deep"):
            check_functions(Path("m.onnx"), called, 1000)


def test_functions_that_call_each_other_are_refused(tmp_path):
    path = calls.functions({"A": ["B"], "B": ["A"]})(tmp_path)
    with pytest.raises(
        GraphError, match=r"its functions call themselves \((A -> B -> A|B -> A -> B)\); export it again"
    ):
        scan(path)


def test_functions_of_one_name_in_two_overloads_are_two():
    called = {
        MAIN: Counter([Operator("own", "A", "x")]),
        Operator("own", "A", "x"): Counter([own("A")]),
        own("A"): Counter(),
    }
    check_functions(Path("m.onnx"), called, 10)
