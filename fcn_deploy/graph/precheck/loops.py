"""Refuse loops that nothing in the file ends: a library that runs them does not come back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from fcn_deploy.errors import GraphError
from fcn_deploy.graph.precheck.finite import Weight
from fcn_deploy.graph.precheck.tensors import INT64S
from fcn_deploy.graph.precheck.wire import Buffer, varints

MOST_TURNS = 1_000_000  # one for each row of the largest images would be a tenth
INT64 = 7  # TensorProto.DataType


class Loop(NamedTuple):
    """A Loop node: its name, and the name of its greatest number of turns."""

    name: str
    turns: str


def check_loops(path: Path, data: Buffer, loops: Sequence[Loop], tensors: Mapping[str, Weight]) -> None:
    """Raise GraphError for a loop whose constant number of turns is too large."""
    for loop in loops:
        turns = _number(data, tensors[loop.turns]) if loop.turns in tensors else None
        if turns is not None and turns > MOST_TURNS:
            raise GraphError(
                f"{path} has a loop, node {loop.name}, of {turns:,} turns; expected at most {MOST_TURNS:,}; export it "
                "again without the loop"
            )


def _number(data: Buffer, weight: Weight) -> int | None:
    """Return a constant's number; None of another type or count, or in another file."""
    tensor = weight.tensor
    if tensor.dtype != INT64 or weight.file is not None or len(tensor.parts) != 1:
        return None
    part = tensor.parts[0]
    if part.number == INT64S:
        return next(iter(varints(data, part)), None)
    return int.from_bytes(data[part.start : part.start + 8], "little", signed=True)
