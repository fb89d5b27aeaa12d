"""Open the fastest runner of this CPU for a model: each is timed on the first image, in the lanes of the run."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.errors import FcnDeployError, MissingDependencyError, RunnerError, first_line
from fcn_deploy.prediction.image_states import LoadedImage
from fcn_deploy.prediction.inference import Lanes, open_lanes
from fcn_deploy.runners.base import Runner
from fcn_deploy.runners.registry import RUNNERS
from fcn_deploy.sources.lanes import open_runners
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.system.formatting import milliseconds, share
from fcn_deploy.vocabulary import LABELS, shape_text

AUTO = "auto"
# Rounds of a few inferences for each lane; the fastest counts, as what else the machine does only makes them longer.
ROUNDS, IN_A_ROUND = 5, 3
ENOUGH_S = 2.0  # after which no further round of a runner is begun
# A runner must be this much faster to replace the default, whose labels are those that the other commands speak of.
FASTER_BY = 1.05


@dataclass(frozen=True)
class _Trial:
    """A runner that is open, in `stack`, with the seconds of an inference in it and the labels of the image."""

    runners: list[Runner]
    stack: ExitStack
    seconds: float
    labels: NDArray[Any]

    @property
    def name(self) -> str:
        return self.runners[0].name

    def __str__(self) -> str:
        return f"{self.name} {milliseconds(1e3 * self.seconds)} ms"


def candidates(source: ModelSource) -> list[str]:
    """Return the runners that open the model on a CPU, its default first."""
    default = source.default_runner
    if RUNNERS[default].opens == "engine":
        return [default]
    opens = {"onnx", RUNNERS[default].opens}  # an .onnx file is made of what is none
    found = (name for name, line in RUNNERS.items() if line.opens in opens and "cpu" in line.devices)
    return [default, *(name for name in found if name != default)]


def open_fastest(
    source: ModelSource, stack: ExitStack, image: NDArray[np.uint8] | None, *, threads: int | None, lanes: int | None
) -> tuple[list[Runner], tuple[str, ...]]:
    """Return the lanes of the fastest runner on `image` uint8[H, W, 3], which `stack` closes, and notes on the choice.

    Without an image that is the default.

    Raises:
        FcnDeployError: none can be opened or run; what the default said.
    """
    if image is None:
        return open_runners(source, stack, threads=threads, lanes=lanes), ()
    best: _Trial | None = None
    reference: NDArray[Any] | None = None
    tried: list[str] = []
    first_error: FcnDeployError | None = None
    for spec in candidates(source):
        try:
            trial = _tried(source, spec, image, threads, lanes)
        except MissingDependencyError as error:
            first_error = first_error or error
            continue
        except FcnDeployError as error:
            first_error = first_error or error
            tried.append(f"{spec} failed ({first_line(error)})")
            continue
        reference = trial.labels if reference is None else reference
        tried.append(str(trial))
        if best is not None and trial.seconds * FASTER_BY >= best.seconds:
            trial.stack.close()
            continue
        if best is not None:
            best.stack.close()
        best = trial
    if best is None or reference is None:
        raise first_error or RunnerError("no runner opens this model on a CPU")
    stack.enter_context(best.stack)
    note = f"auto: {best.name} is the fastest on the first image, {shape_text(image.shape[:2])}: {', '.join(tried)}"
    if best.labels is reference:
        return best.runners, (note,)
    same = share(int((best.labels == reference).sum()), reference.size)
    return best.runners, (f"{note}; {same} % of its labels there are those of {candidates(source)[0]}",)


def _tried(source: ModelSource, spec: str, image: NDArray[np.uint8], threads: int | None, lanes: int | None) -> _Trial:
    with ExitStack() as stack:
        runners = open_runners(source, stack, runner=spec, threads=threads, lanes=lanes)
        with open_lanes(runners) as opened:
            tensors, seconds = _timed(opened, [LoadedImage(0, PurePosixPath(), image)])
        return _Trial(runners, stack.pop_all(), seconds, tensors)


def _timed(lanes: Lanes, batch: Sequence[LoadedImage]) -> tuple[NDArray[Any], float]:
    """Return the labels of the batch and the seconds of an inference while all lanes are busy."""
    first = _run(lanes, batch, lanes.slots)[0]  # the first ones make room and choose kernels
    count = IN_A_ROUND * lanes.slots
    begun, best = time.perf_counter(), float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        _run(lanes, batch, count)
        best = min(best, (time.perf_counter() - started) / count)
        if time.perf_counter() - begun > ENOUGH_S:
            break
    return first, best


def _run(lanes: Lanes, batch: Sequence[LoadedImage], count: int) -> list[NDArray[Any]]:
    tickets: deque[Any] = deque()
    labels = []
    for _ in range(count):
        if len(tickets) == lanes.slots:
            labels.append(lanes.result(tickets.popleft())[0][LABELS])
        tickets.append(lanes.submit(batch))
    labels += [lanes.result(ticket)[0][LABELS] for ticket in tickets]
    return labels
