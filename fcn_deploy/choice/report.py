"""Write the winner's file, and put together what the search found."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np

from fcn_deploy.choice.options import ChoiceOptions
from fcn_deploy.choice.outputs.commands import commands_for
from fcn_deploy.choice.outputs.copying import write_file
from fcn_deploy.choice.outputs.recipe_file import ChoiceRecipe, ChosenFile, recipe_path, write_recipe
from fcn_deploy.choice.outputs.tried_file import tried_path, write_tried
from fcn_deploy.choice.result import Choice, Tried, Winner
from fcn_deploy.choice.search import CandidateState, Search
from fcn_deploy.metrics.bootstrap import Interval, IouChange, iou_change
from fcn_deploy.network_size import size_words
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.system.files import sha256
from fcn_deploy.vocabulary import Size


def choice_of(
    options: ChoiceOptions,
    search: Search,
    winner: CandidateState | None,
    started: float,
    cpu: float,
) -> Choice:
    """Write the winner and return the result; `started` and `cpu` are the clocks at the start."""
    trials = search.trials
    shown = None
    if winner is not None:
        write_file(options.output, trials.files.onnx_for(winner.candidate))
        write_recipe(recipe_path(options.output), _recipe(options, trials.files.source, winner))
        shown = _winner(options, search, winner)
    size = _commonest_size(search)
    tried = tuple(_tried(search, trial, size) for trial in search.tried)
    if shown is not None:
        write_tried(shown.table, tried)
    return Choice(
        model=options.model,
        data=trials.frames.name,
        frames=len(trials.frames),
        reference=trials.reference,
        budget=options.budget,
        max_ms=options.max_ms,
        tried=tried,
        winner=shown,
        nearest="" if winner is not None else nearest(search),
        complete=search.complete,
        steps=len(trials.log),
        steps_before=trials.log.found,
        work=options.folder,
        seconds=time.perf_counter() - started,
        cpu_seconds=time.process_time() - cpu,
    )


def _recipe(options: ChoiceOptions, source: ModelSource, winner: CandidateState) -> ChoiceRecipe:
    candidate = winner.candidate
    chosen = ChosenFile(
        model=options.model,
        model_sha256=source.digest()[0],
        precision=candidate.precision,
        target=candidate.spec.target,
        runner=candidate.spec.runner,
        network=options.model_name or "",
        network_size=size_words(candidate.size.text) if candidate.resized else "",
        sha256=sha256(options.output),
    )
    return ChoiceRecipe(chosen, options.calibration if candidate.precision != "fp32" else None)


def _winner(options: ChoiceOptions, search: Search, winner: CandidateState) -> Winner:
    change = _change(search, winner)
    assert change is not None
    assert winner.ms is not None
    candidate = winner.candidate
    return Winner(
        name=candidate.name,
        path=options.output,
        size=candidate.network_sides(_commonest_size(search)) if candidate.resized else None,
        change=_points(change.mean),
        ms=winner.ms,
        times=search.over_reference,
        worst_class=_worst(change, search.trials.frames.classes),
        commands=commands_for(options, candidate.spec, search.trials.files.of(candidate).model_source),
        recipe=recipe_path(options.output),
        table=tried_path(options.output),
    )


def _tried(search: Search, trial: CandidateState, size: Size) -> Tried:
    change = _change(search, trial)
    return Tried(
        name=trial.candidate.name,
        runner=trial.candidate.spec.runner,
        precision=trial.candidate.precision,
        size=trial.candidate.network_sides(size),
        target=trial.candidate.spec.target if "int8" in trial.candidate.precision else "",
        outcome=trial.outcome,
        reason=trial.dropped,
        frames=0 if trial.counts is None else len(trial.counts),
        change=None if change is None else _points(change.mean),
        ms=trial.ms,
        rounds=trial.rounds,
    )


def _change(search: Search, trial: CandidateState) -> IouChange | None:
    if trial.counts is None or not len(trial.counts):
        return None
    reference = search.trials.score(None, len(trial.counts))
    return iou_change(reference.overall, trial.counts.overall)


def _points(change: Interval) -> Interval:
    low, high = (None if end is None else 100 * end for end in (change.low, change.high))
    return Interval(100 * change.value, low, high)


def _worst(change: IouChange, classes: tuple[str, ...]) -> tuple[str, float] | None:
    values = np.array([interval.value for interval in change.classes])
    if np.isnan(values).all() or np.nanmin(values) >= 0:
        return None
    index = int(np.nanargmin(values))
    return classes[index], 100 * float(values[index])


def nearest(search: Search) -> str:
    """Say which candidate that was scored lost least, with what it missed; "" if none was."""
    scored = [(trial, change) for trial in search.tried if (change := _change(search, trial)) is not None]
    if not scored:
        return ""
    trial, _ = max(scored, key=lambda pair: pair[1].mean.value)
    return f"{trial.candidate.name}: {trial.dropped}"


def _commonest_size(search: Search) -> Size:
    """Return (height, width) of the commonest image among those that are timed."""
    shapes = Counter(batch.shape for batch in search.trials.batches())
    _, height, width, _ = shapes.most_common(1)[0][0]
    return height, width
