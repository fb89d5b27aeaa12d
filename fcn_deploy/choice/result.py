"""Define what a choice found: the winner, what it costs, and what became of every other candidate."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fcn_deploy.benchmark.baseline.significance import Ratio
from fcn_deploy.metrics.bootstrap import Interval
from fcn_deploy.metrics.budget import AccuracyBudget
from fcn_deploy.system.serialization.plain import plain


@dataclass(frozen=True)
class Tried:
    """One candidate.

    Attributes:
        name, runner, precision: as in "openvino:int8 at 0.5".
        size: (height, width) at which the network computes for the commonest image.
        target: whose INT8 kernels its file is for; "" for other precisions.
        outcome: what became of it, in a word or two; `reason`: why it was dropped, in a sentence, "" for the winner.
        frames: on how many it was scored.
        change: points of mIoU gained on these; None if it was not scored.
        ms: median of its last race; None if it was not timed.
        rounds: of its races; with none, `ms` is that of the first frames.
    """

    name: str
    runner: str
    precision: str
    size: tuple[int, int]
    target: str = ""
    outcome: str = ""
    reason: str = ""
    frames: int = 0
    change: Interval | None = None
    ms: float | None = None
    rounds: int = 0


@dataclass(frozen=True)
class Winner:
    """What is shipped.

    Attributes:
        size: as of `Tried`; None at the model's own size.
        times: PyTorch's time over the winner's; None if the reference could not be timed.
        worst_class: name and points of the class that lost most; None if none lost.
        commands: command lines that make the file again.
        recipe: a file from which `fcn-deploy choose RECIPE -o OUTPUT` makes it again.
        table: a CSV file of what was tried.
    """

    name: str
    path: Path
    size: tuple[int, int] | None
    change: Interval
    ms: float
    times: Ratio | None
    worst_class: tuple[str, float] | None
    commands: tuple[str, ...]
    recipe: Path
    table: Path


@dataclass(frozen=True)
class Choice:
    """Everything that was tried, in the order of what is known of it; `winner` is None if none passed.

    Attributes:
        reference: what the candidates are compared with, such as "pytorch".
        steps, steps_before: finished steps in the log, and how many it held at the start.
        complete: False if the time was up before all was tried.
        nearest: who came nearest, if none passed.
    """

    model: str
    data: str
    frames: int
    reference: str
    budget: AccuracyBudget
    max_ms: float | None
    tried: tuple[Tried, ...]
    winner: Winner | None
    nearest: str
    complete: bool
    steps: int
    steps_before: int
    work: Path
    seconds: float
    cpu_seconds: float
    notes: tuple[str, ...] = field(default=())

    def to_plain(self) -> dict[str, Any]:
        """Return the result as JSON holds it."""
        return {"schema": 2, "kind": "choice", **plain(self)}
