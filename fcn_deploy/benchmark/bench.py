"""Benchmark a model's runners as a user asks for it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from fcn_deploy.benchmark.kept_files import KeepFolder
from fcn_deploy.benchmark.record.measurement import DeadlineS, Fps, MostStreams, StreamTest
from fcn_deploy.benchmark.record.types import Record
from fcn_deploy.benchmark.run import BenchOptions, run_bench
from fcn_deploy.benchmark.runner_specs import rows_of
from fcn_deploy.benchmark.timing.latency import Budget
from fcn_deploy.benchmark.timing.rows import SECONDS
from fcn_deploy.benchmark.worst_frames import WorstFrames
from fcn_deploy.data.options import DataOptions
from fcn_deploy.metrics.budget import AccuracyBudget
from fcn_deploy.quantization.calibration.images import calibration_options
from fcn_deploy.runners.engine_options import TrtOptions
from fcn_deploy.system.arguments import NotNegative, Positive, Seconds, Threads, checked
from fcn_deploy.system.files import StrPath
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.system.serialization.decode import Count

CALIBRATION_SCENES = "synthetic:32:1:192x256"  # of the size of the generated data set, and other ones


@checked
def bench(
    models: StrPath | Sequence[StrPath] = "demo",
    data: StrPath | DataOptions | None = None,
    *,
    runners: Sequence[str] | None = None,
    reference: StrPath | None = None,
    model_name: str | None = None,
    calibration: StrPath | DataOptions | None = None,
    iterations: Positive = 500,
    seconds: Seconds = 20.0,
    stop_at: NotNegative | None = 0.01,
    warmup: Count = 3,
    sizes: Sequence[str] = (),
    image_sizes: Sequence[tuple[Positive, Positive]] = (),
    batches: Sequence[Positive] = (1,),
    saturation: Seconds = SECONDS,
    memory: bool = True,
    isolated: bool = False,
    streams: MostStreams | None = None,
    fps: Fps = 30.0,
    deadline: DeadlineS | None = None,
    threads: Threads | None = None,
    engine: TrtOptions | None = None,
    radius: Count = 3,
    limits: AccuracyBudget | None = None,
    worst_frames: WorstFrames | None = None,
    keep: StrPath | None = None,
    force: bool = False,
    progress: Progress = SILENT,
) -> Record:
    """Compare the speed and the accuracy of a model's runners, or of several files side by side.

    The runners take turns on every image, and their labels are compared with PyTorch's, pixel by pixel. A runner that
    cannot be opened is skipped, one that fails is failed, each with its reason in its row; the others go on.

    Args:
        models: an .onnx file, an engine, a checkpoint, a recipe or "demo"; or several with the same classes.
        data: images, as for `evaluate`, with or without labels; None generates them.
        runners: `pytorch[:DEVICE][:fp16|bf16][:compile]`, `onnxruntime[:DEVICE][:PRECISION]`,
            `openvino[:PRECISION][:DEVICE][:fp32|bf16]` or `tensorrt[:PRECISION]`; one given twice shows the noise. With
            a precision (fp16, int8, int8+fp16) the model is rewritten for this run, and "tensorrt" builds an engine.
            None is what is installed and can take the file; several files run as they are. Of several, each has the
            rows that can take it.
        reference: what the others are compared with; None is the first of `models`. A file that is not among them
            joins them.
        model_name: the network that a checkpoint holds, where its keys leave a choice.
        calibration: images for INT8, as for `quantize`, other ones than those of `data`; None generates them where
            `data` is generated too.
        iterations: the largest number of rounds.
        seconds: the time after which timing stops, but after at least 3 rounds.
        stop_at: stop early, after at least 100 rounds, once every median is known to within this share; None never.
        warmup: the least number of untimed runs of each image size.
        sizes: network sizes of a single file, "0.5", "longest:360" or "180x240": it has further rows in which images
            are resized to this size inside the graph, and the logits back, so that labels of the images' size are
            scored. "1" is the images' size.
        image_sizes: (height, width) in pixels, to which the images themselves are resized to time them too.
        batches: images per inference; the original sizes are timed with the first, `image_sizes` with each.
        saturation: seconds for which images per second are measured with a queue that is never empty; 0 skips it.
        memory: whether to measure peak memory, which opens each runner again in a process of its own.
        isolated: whether each runner is timed in a process of its own.
        streams: the largest number of streams to try, as of cameras, that arrive by a schedule whether or not the
            runner keeps up; None leaves that out.
        fps: images per second of each stream.
        deadline: seconds from an image's arrival to its labels, which 99 of 100 images of as many streams as hold keep;
            None is the time of one image, 1 / fps.
        threads: CPU threads of every runner; None is all usable cores.
        engine: contexts, slots and CUDA graphs of the rows of "tensorrt"; None leaves its own.
        radius: half width of the boundary band in pixels.
        limits: what the rows are going to be judged by; its classes are checked before anything is measured.
        worst_frames: collects the frames on which the rows differ most, for the HTML page.
        keep: a folder for the files that are made for the rows: exported, rewritten, built; None keeps none.
        force: whether files of the same name in `keep` are replaced.

    Returns:
        The record: a row per runner with its samples in nanoseconds, memory, agreement and accuracy, and what they
        were measured on; a notebook shows it as its page. `benchmark.record.summary` computes figures from it
        (`speed(record, row.own).median_ms`), `benchmark.record.file` writes and reads it.

    Raises:
        UnknownNameError: no such runner or provider, or no such class of `limits`.
        CheckpointError, GraphError, ExportError: no runner can use the file.
        DataError: the data set cannot be used, or not with the model's classes; two files with other classes; INT8
            without calibration images.
        ShapeError, ExportError: not a network size, or one below the network's stride.
        OutputError: a file of `keep` is there already, or cannot be written.

    Example:
        >>> import fcn_deploy
        >>> quick = {"iterations": 3, "saturation": 0, "memory": False}
        >>> record = fcn_deploy.bench("demo", "synthetic:2:0:48x64", runners=["pytorch"], **quick)
        >>> [(row.runner, row.status) for row in record.rows], record.data.images
        ([('pytorch', 'ok')], 2)
    """
    sources, images = _sources(models, reference), DataOptions.of(data)
    if calibration is None and images.source is None:
        calibration = CALIBRATION_SCENES
    (source, specs), *others = rows_of(sources, runners, calibration is not None)
    options = BenchOptions(
        source=source,
        model=model_name,
        runners=specs,
        others=tuple(others),
        data=images,
        calibration=None if calibration is None else calibration_options(calibration),
        budget=Budget(iterations, seconds, warmup, tolerance=stop_at),
        batch=batches[0],
        threads=threads,
        engine=engine,
        radius=radius,
        memory=memory,
        network_sizes=tuple(sizes),
        image_sizes=tuple(image_sizes),
        batches=tuple(batches) if image_sizes or len(batches) > 1 else (),
        isolated=isolated,
        streams=None if streams is None else StreamTest(streams, fps, 1 / fps if deadline is None else deadline),
        saturation_s=saturation,
        limits=limits or AccuracyBudget(),
        worst_frames=worst_frames,
        keep=None if keep is None else KeepFolder(Path(keep), force),
    )
    return run_bench(options, progress)


def _sources(models: StrPath | Sequence[StrPath], reference: StrPath | None) -> list[str]:
    """Return the files, the reference first."""
    given = [models] if isinstance(models, (str, os.PathLike)) else list(models)
    texts = [os.fspath(model) for model in given]
    if reference is None:
        return texts
    first = os.fspath(reference)
    return [first, *(text for text in texts if text != first)]
