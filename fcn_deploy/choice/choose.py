"""Choose the fastest size, precision and runner of a model within budgets: the function for command and Python."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fcn_deploy.benchmark.model_files import ModelFiles
from fcn_deploy.benchmark.models import BenchModel, open_reference
from fcn_deploy.card import ModelCard
from fcn_deploy.choice.bounds import Examiner
from fcn_deploy.choice.candidates import Candidate, candidates_of
from fcn_deploy.choice.frames import LabelledFrames
from fcn_deploy.choice.log import ChoiceLog
from fcn_deploy.choice.options import PRECISIONS, ChoiceOptions, check_options
from fcn_deploy.choice.report import choice_of
from fcn_deploy.choice.result import Choice
from fcn_deploy.choice.search import Search
from fcn_deploy.choice.trials import Trials
from fcn_deploy.data.digests import Frames, frames_of, overlap
from fcn_deploy.data.options import DataOptions, classes_of, open_for_model
from fcn_deploy.errors import RunnerError
from fcn_deploy.metrics.budget import AccuracyBudget
from fcn_deploy.quantization.calibration.images import calibration_options, open_images
from fcn_deploy.runners.base import Runner
from fcn_deploy.runners.registry import REFERENCE, distributions
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.system.arguments import NotNegative, Threads, checked
from fcn_deploy.system.decode import Count
from fcn_deploy.system.environment import cpu_model, package_versions
from fcn_deploy.system.files import StrPath
from fcn_deploy.system.process import usable_cores
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.version import __version__


@checked
def choose(
    model: StrPath,
    output: StrPath,
    data: StrPath | DataOptions,
    *,
    calibration: StrPath | DataOptions | None = None,
    max_miou_drop: float | None = None,
    max_boundary_drop: float | None = None,
    max_class_drop: Mapping[str, float] | None = None,
    max_ms: NotNegative | None = None,
    runners: Sequence[str] | None = None,
    precisions: Sequence[str] = PRECISIONS,
    sizes: Sequence[str] = ("1",),
    model_name: str | None = None,
    threads: Threads | None = None,
    radius: Count = 3,
    time_budget: NotNegative | None = None,
    work: StrPath | None = None,
    progress: Progress = SILENT,
) -> Choice:
    """Try sizes, precisions and runners of a model, and write the file of the fastest that keeps its accuracy.

    Args:
        model: a checkpoint, a recipe, an FP32 .onnx file or "demo".
        output: the ONNX file to write; nothing is written if no candidate passes.
        data: labelled images, as for `evaluate`.
        calibration: images for INT8, as for `quantize`, other ones than those of `data`.
        max_miou_drop: points of mIoU that may be lost against PyTorch on `data`.
        max_boundary_drop: the same near label changes.
        max_class_drop: points of IoU that single classes may lose, by name.
        max_ms: milliseconds that the median may take.
        runners: as for `bench`; None is every installed runner of .onnx files.
        precisions: what each runner is tried in: "fp32", "fp16", "int8", "int8+fp16".
        sizes: what the network gets: "0.75" of each image's sides, or "270x360" for all.
        model_name: the network that a checkpoint holds, where its keys leave a choice.
        threads: CPU threads of every runner; None is all usable cores.
        radius: half width of the boundary band in pixels.
        time_budget: seconds after which no step is started; the best that passed until then is written.
        work: the folder of the log and of files in between; None is OUTPUT.choose.

    Returns:
        The winner with what it costs, or None in its place, and what became of every candidate.

    Raises:
        UnknownNameError: no such runner, precision or class.
        CheckpointError, GraphError, ExportError: the model cannot be used.
        DataError: the images cannot be used, or have no labels.
        RecordError: the log in the folder is that of another choice.
        OutputError: the file or the log cannot be written.

    Example:
        >>> import fcn_deploy
        >>> small = {"calibration": "synthetic:4:1:48x64", "runners": ["onnxruntime"], "precisions": ["fp32", "int8"]}
        >>> found = fcn_deploy.choose("demo", "best.onnx", "synthetic:6:0:48x64", max_miou_drop=50, **small)
        >>> found.winner.path.name, len(found.tried)
        ('best.onnx', 2)
    """
    options = choice_options(
        model,
        output,
        data,
        calibration=calibration,
        max_miou_drop=max_miou_drop,
        max_boundary_drop=max_boundary_drop,
        max_class_drop=max_class_drop,
        max_ms=max_ms,
        runners=runners,
        precisions=precisions,
        sizes=sizes,
        model_name=model_name,
        threads=threads,
        radius=radius,
        time_budget=time_budget,
        work=work,
    )
    return run_choice(options, progress)


def choice_options(
    model: StrPath,
    output: StrPath,
    data: StrPath | DataOptions,
    *,
    calibration: StrPath | DataOptions | None,
    max_miou_drop: float | None,
    max_boundary_drop: float | None,
    max_class_drop: Mapping[str, float] | None,
    runners: Sequence[str] | None,
    precisions: Sequence[str],
    sizes: Sequence[str],
    work: StrPath | None,
    **same: Any,
) -> ChoiceOptions:
    """Return the arguments of `choose` with their types settled; `same` are those that stay as they are."""
    return ChoiceOptions(
        model=str(model),
        output=Path(output),
        data=DataOptions.of(data),
        budget=AccuracyBudget(max_miou_drop, max_boundary_drop, dict(max_class_drop or {})),
        calibration=None if calibration is None else calibration_options(calibration),
        runners=None if runners is None else tuple(runners),
        precisions=tuple(precisions),
        sizes=tuple(sizes),
        work=None if work is None else Path(work),
        **same,
    )


def run_choice(options: ChoiceOptions, progress: Progress = SILENT) -> Choice:
    """Search and write; errors as of `choose`."""
    started, cpu = time.perf_counter(), time.process_time()
    with opened(options, progress) as found:
        trials = found.trials
        budget = math.inf if options.time_budget is None else options.time_budget
        search = Search(trials, found.examiner, options.max_ms, started + budget)
        try:
            winner = search.run(found.candidates)
        except KeyboardInterrupt:
            progress.say(f"{len(trials.log)} steps are in {trials.log.path}; the same command goes on after them")
            raise
        return choice_of(options, search, winner, started, cpu)


@dataclass(frozen=True)
class Opened:
    """What a search works with."""

    trials: Trials
    candidates: tuple[Candidate, ...]
    source: ModelSource
    examiner: Examiner


@contextmanager
def opened(options: ChoiceOptions, progress: Progress) -> Iterator[Opened]:
    """Open model, data and log; what was opened is closed at the end, and the folder stays."""
    check_options(options)
    threads = options.threads or usable_cores()
    with ExitStack() as stack:
        source = stack.enter_context(ModelSource(options.model, progress, model=options.model_name))
        card = source.card()
        candidates = candidates_of(options, card)
        frames = _frames(card, options, progress)
        calibration = _calibration(card, options, frames, progress)
        options.budget.check(frames.classes)
        examiner = Examiner(options.budget, frames.classes, frames.present, len(frames))
        options.folder.mkdir(parents=True, exist_ok=True)
        log = ChoiceLog(
            options.folder / "log.jsonl", _key(source, frames, calibration, options, threads), len(frames.classes)
        )
        progress.say(f"choice log {log.path}: {log.found} steps are done")
        files = ModelFiles(source, options.folder, calibration=options.calibration, progress=progress)
        bench_model = BenchModel(source, "", (), card)

        def open_the_reference(inner: ExitStack, threads: int) -> Runner:
            found, reason = open_reference(bench_model, [], threads, inner)
            if found is None:
                raise RunnerError(f"there is nothing to compare the candidates with: {reason}")
            return found.runner

        trials = Trials(files, frames, log, REFERENCE, open_the_reference, threads, options.radius, progress)
        yield Opened(trials, candidates, source, examiner)


def _frames(card: ModelCard | None, options: ChoiceOptions, progress: Progress) -> LabelledFrames:
    dataset = open_for_model(card, options.data, progress)
    return LabelledFrames(dataset, classes_of(card, dataset), on_error=options.data.on_error, progress=progress)


def _calibration(
    card: ModelCard | None, options: ChoiceOptions, frames: LabelledFrames, progress: Progress
) -> Frames | None:
    """Return the calibration images; a notice if frames are among them, on which candidates are scored."""
    if options.calibration is None:
        return None
    dataset = open_images(card, options.calibration, progress)
    found = frames_of(dataset, on_error=options.calibration.on_error, progress=progress)
    shared = overlap(found, frames.seen).shared
    if shared:
        progress.say(
            f"{len(shared)} calibration images are in the validation set too, such as {shared[0][0]}: INT8 is scored "
            "on images that it was fitted to"
        )
    return found


def _key(
    source: ModelSource, frames: LabelledFrames, calibration: Frames | None, options: ChoiceOptions, threads: int
) -> dict[str, Any]:
    """Return what identifies the steps: with equal keys, a step of one choice is a step of the other.

    Limits are not in it, nor is what is tried: the log of one choice serves the next with other limits.
    """
    return {
        "model": source.digest()[0],
        "network": options.model_name,
        "frames": frames.digest,
        "calibration": None if calibration is None else calibration.digests,
        "radius": options.radius,
        "threads": threads,
        "cpu": cpu_model(),
        "fcn_deploy": __version__,
        "packages": package_versions(distributions()),
    }
