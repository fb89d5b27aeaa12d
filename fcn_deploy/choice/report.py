"""Write the winner's file, and put together what the search found."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from pathlib import Path

import numpy as np

from fcn_deploy.choice.commands import commands_for
from fcn_deploy.choice.options import ChoiceOptions
from fcn_deploy.choice.result import Choice, Tried, Winner
from fcn_deploy.choice.search import CandidateState, Search
from fcn_deploy.graph.load import load_graph
from fcn_deploy.graph.weights import graph_files, save_graph
from fcn_deploy.metrics.bootstrap import Interval, IouChange, iou_change
from fcn_deploy.system.files import atomic_path
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
        write_file(options.output, Path(trials.files.onnx_for(winner.candidate.spec)))
        shown = _winner(options, search, winner)
    size = _commonest_size(search)
    return Choice(
        model=options.model,
        data=trials.frames.name,
        frames=len(trials.frames),
        reference=trials.reference,
        budget=options.budget,
        max_ms=options.max_ms,
        tried=tuple(_tried(search, trial, size) for trial in search.tried),
        winner=shown,
        nearest="" if winner is not None else nearest(search),
        complete=search.complete,
        steps=len(trials.log),
        steps_before=trials.log.found,
        work=options.folder,
        seconds=time.perf_counter() - started,
        cpu_seconds=time.process_time() - cpu,
    )


def write_file(output: Path, path: Path) -> None:
    """Copy the ONNX file that was tried, with the weights that lie next to it if there are any.

    Raises:
        OutputError: it cannot be written.
    """
    graph = load_graph(path)
    with atomic_path(output) as temporary:
        if len(graph_files(path, graph)) == 1:
            # copyfile's errors name the file that is read, also where it is the target that cannot be written
            with path.open("rb") as given, temporary.open("wb") as written:
                shutil.copyfileobj(given, written)
        else:
            save_graph(graph, temporary)


def _winner(options: ChoiceOptions, search: Search, winner: CandidateState) -> Winner:
    change = _change(search, winner)
    assert change is not None
    assert winner.ms is not None
    size = winner.candidate.size
    return Winner(
        name=winner.candidate.name,
        path=options.output,
        size=size.of(_commonest_size(search)) if size.name else None,
        change=_points(change.mean),
        ms=winner.ms,
        times=search.over_reference,
        worst_class=_worst(change, search.trials.frames.classes),
        commands=commands_for(options, winner.candidate.spec),
    )


def _tried(search: Search, trial: CandidateState, size: Size) -> Tried:
    change = _change(search, trial)
    return Tried(
        name=trial.candidate.name,
        runner=trial.candidate.spec.runner,
        precision=trial.candidate.precision,
        size=trial.candidate.size.of(size),
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
