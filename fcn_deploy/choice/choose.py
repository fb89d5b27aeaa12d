"""Choose the fastest size, precision and runner of a model within limits: the function for command and Python."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fcn_deploy.choice.opening import opened
from fcn_deploy.choice.options import PRECISIONS, ChoiceOptions
from fcn_deploy.choice.report import choice_of
from fcn_deploy.choice.result import Choice
from fcn_deploy.choice.search import Search
from fcn_deploy.data.options import DataOptions
from fcn_deploy.metrics.budget import AccuracyBudget
from fcn_deploy.quantization.calibration.images import calibration_options
from fcn_deploy.system.arguments import NotNegative, Threads, checked
from fcn_deploy.system.files import StrPath
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.system.serialization.decode import Count


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
    sizes: Sequence[str] | None = None,
    targets: Sequence[str] | None = None,
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
        sizes: at which the network computes: "0.75" of each image's sides, "longest:360" or "270x360"; each has files
            of its own, which take the images as they are and give labels of their size. "1" is the images' size, None
            the model's own.
        targets: for whose INT8 kernels files are made, "cpu" or "tensorrt"; None is each runner's own.
        model_name: the network that a checkpoint holds, where its keys leave a choice.
        threads: CPU threads of every runner; None is all usable cores.
        radius: half width of the boundary band in pixels.
        time_budget: seconds after which no step is started; the best that passed until then is written.
        work: the folder of the log and of files in between; None is OUTPUT.choose.

    Returns:
        The winner with what it costs, or None in its place, and what became of every candidate.

    Raises:
        UnknownNameError: no such runner, precision or class.
        ShapeError: not a network size.
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
        targets=targets,
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
    sizes: Sequence[str] | None,
    targets: Sequence[str] | None,
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
        sizes=None if sizes is None else tuple(sizes),
        targets=None if targets is None else tuple(targets),
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
