"""Refuse a file whose own functions call themselves, or grow beyond any network where they are put in place.

Libraries put each function in the place of each call: of functions that call the next one twice there are 2^n copies.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

from fcn_deploy.errors import GraphError

DEEPEST_CALLS = 100  # of functions in functions; exporters write one for each level of modules


class Operator(NamedTuple):
    """What a node computes, and what a function defines."""

    domain: str
    op_type: str
    overload: str = ""


MAIN = Operator("", "")  # the graph itself
Calls = Mapping[Operator, Counter[Operator]]


def check_functions(path: Path, calls: Calls, most_nodes: int) -> None:
    """Raise GraphError for functions that libraries could not put in place.

    Args:
        calls: of `MAIN` and of each function: how many nodes compute which operator.
        most_nodes: of the graph with all functions in place.
    """
    own = next((name for name in calls if name != MAIN and name.domain in ("", "ai.onnx")), None)
    if own is not None:
        raise GraphError(f"{path} defines ONNX's own operator {own.op_type} again, which libraries read differently")
    called = {name: [each for each in counts if each in calls] for name, counts in calls.items()}
    nodes, depths = dict[Operator, int](), dict[Operator, int]()
    try:
        for name in TopologicalSorter(called).static_order():
            counts = calls[name].items()
            nodes[name] = min(sum(count * nodes.get(each, 1) for each, count in counts), most_nodes + 1)
            depths[name] = 1 + max((depths[each] for each in called[name]), default=-1)
    except CycleError as error:
        words = " -> ".join(each.op_type for each in error.args[1][:4])
        raise GraphError(f"{path} is damaged: its functions call themselves ({words}); export it again") from error
    if nodes[MAIN] > most_nodes or depths[MAIN] > DEEPEST_CALLS:
        raise GraphError(
            f"{path} has more than {most_nodes} nodes, or functions more than {DEEPEST_CALLS} deep, where its "
            f"{len(calls) - 1} functions are put in place, which no network has"
        )
