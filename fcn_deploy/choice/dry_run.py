"""Say what a choice would try and what it would cost, judged by one image through the reference; nothing is written."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from fcn_deploy.benchmark.models import BenchModel, open_reference
from fcn_deploy.choice.bounds import FIRST
from fcn_deploy.choice.candidates import Candidate, candidates_of
from fcn_deploy.choice.frames import required_label
from fcn_deploy.choice.options import ChoiceOptions, check_options
from fcn_deploy.choice.race import FEW_ROUNDS
from fcn_deploy.data.dataset import iterate
from fcn_deploy.data.options import classes_of, open_for_model
from fcn_deploy.errors import RunnerError
from fcn_deploy.network_size import size_words
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.system.process import usable_cores
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.system.serialization.plain import plain
from fcn_deploy.vocabulary import INPUT, Size


@dataclass(frozen=True)
class ChoicePlan:
    """The candidates and a time, without the making of the files.

    Attributes:
        size: (height, width) of the timed image; all are taken to be so large.
        image_seconds: one image through the reference; candidates are taken to be as fast at the same size.
        least_seconds: if the fastest candidate passes and no other is near it.
        most_seconds: if nothing can be dropped before the end.
    """

    data: str
    frames: int
    size: Size
    candidates: tuple[str, ...]
    files: tuple[str, ...]
    image_seconds: float
    least_seconds: float
    most_seconds: float

    def to_plain(self) -> dict[str, Any]:
        """Return the plan as JSON holds it."""
        return {"schema": 1, "kind": "choice plan", **plain(self)}


def plan_choice(options: ChoiceOptions, progress: Progress = SILENT) -> ChoicePlan:
    """Look at the model, the set and one image; errors as of `choose`, before its first step."""
    check_options(options)
    with ExitStack() as stack:
        source = stack.enter_context(ModelSource(options.model, progress, model=options.model_name))
        card = source.card()
        found = candidates_of(options, card)
        dataset = open_for_model(card, options.data, progress)
        options.budget.check(classes_of(card, dataset))
        sample = next(iter(iterate(dataset, on_error=options.data.on_error)))
        required_label(sample)
        opened, reason = open_reference(BenchModel(source, "", (), card), [], options.threads or usable_cores(), stack)
        if opened is None:
            raise RunnerError(f"there is nothing to compare the candidates with: {reason}")
        for _ in range(2):  # the first run allocates
            started = time.perf_counter()
            opened.runner.infer({INPUT: sample.image[None]})
            seconds = time.perf_counter() - started
        size = (sample.image.shape[0], sample.image.shape[1])
        return _plan(dataset.name, len(dataset), size, found, seconds)


def _plan(data: str, frames: int, size: Size, found: Sequence[Candidate], seconds: float) -> ChoicePlan:
    areas = [height * width / (size[0] * size[1]) for height, width in (each.network_sides(size) for each in found)]
    # a turn of a race has an untimed run in it too
    few = seconds * sum(areas) * (min(FIRST, frames) + 2 * FEW_ROUNDS)
    least = few + seconds * (frames * (1 + min(areas)) + 4 * FEW_ROUNDS)
    most = few + seconds * (frames * (1 + sum(areas)) + 2 * 150 * sum(areas))
    files = tuple(dict.fromkeys(name for each in found if (name := _file(each))))
    return ChoicePlan(data, frames, size, tuple(each.name for each in found), files, seconds, least, most)


def _file(candidate: Candidate) -> str:
    """Write "int8 for cpu", "int8 for cpu at 0.5" or "fp32 at 0.5"; "" for the model as it is."""
    made = f"{candidate.precision} for {candidate.spec.target}" if candidate.spec.precision else ""
    return f"{made or candidate.precision} at {size_words(candidate.size.text)}" if candidate.resized else made
