"""Label images and write the results: decoding, inference and writing overlap, in constant memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from functools import partial
from pathlib import Path
from typing import IO, Annotated, cast

from fcn_deploy.errors import DataError, RunnerError
from fcn_deploy.prediction.cluster.resources import Cluster
from fcn_deploy.prediction.collisions import check_names
from fcn_deploy.prediction.fastest import AUTO
from fcn_deploy.prediction.images.lazy_images import count_images, first_image
from fcn_deploy.prediction.images.sources import ImageSource
from fcn_deploy.prediction.images.storage import Storage, is_address
from fcn_deploy.prediction.labeller import Labeller, LocalLabeller
from fcn_deploy.prediction.options import PredictOptions
from fcn_deploy.prediction.report import AreaTable, PredictReport, RunCounts, open_area_table
from fcn_deploy.prediction.tiled import Tiling
from fcn_deploy.runners.engine_options import TrtOptions
from fcn_deploy.system.arguments import MOST_LANES, MOST_WORKERS, Positive, Threads, checked
from fcn_deploy.system.files import StrPath
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.system.serialization.decode import Count, at_least
from fcn_deploy.vocabulary import MaskFormat


@checked
def predict(
    model: StrPath,
    images: StrPath | Sequence[StrPath],
    output: StrPath,
    *,
    model_name: str | None = None,
    runner: str | None = None,
    batch: Positive = 1,
    tile: Positive | None = None,
    halo: Count | None = None,
    threads: Threads | None = None,
    lanes: Annotated[int, at_least(1, MOST_LANES)] | None = None,
    workers: Annotated[int, at_least(1, MOST_WORKERS)] | None = None,
    engine: TrtOptions | None = None,
    cluster: Cluster | None = None,
    format: MaskFormat = "indexed",
    overlay: Annotated[float, at_least(0, 1, "a number")] | None = None,
    areas: StrPath | None = None,
    confidence: StrPath | None = None,
    skip_existing: bool = False,
    keep_suffix: bool = False,
    stdin: IO[bytes] | None = None,
    progress: Progress = SILENT,
) -> PredictReport:
    """Write the label maps of images, folders and videos.

    Decoding, inference and writing overlap, and memory does not grow with the number of images. An unreadable image
    stops nothing and is listed in the report. `load` gives labels as arrays instead.

    Args:
        model: an engine, an .onnx file, a checkpoint, a recipe or "demo".
        images: image files, folders (with their sub-folders), globs ("**" is any depth), list files, videos, "-" for
            the paths on `stdin`, or addresses of object storage (s3://bucket/folder).
        output: the folder of the results, or of object storage; for one image the label map itself. photos/a/1.jpg of
            the folder photos becomes OUTPUT/a/1.png, frame 41 of clip.mp4 OUTPUT/clip.mp4/000041.png.
        model_name: the network that a checkpoint holds, where its keys leave a choice.
        runner: as for `load`, or "auto": of the runners that open the model on a CPU, the one that is fastest on the
            first image; the default unless another is 5 % faster.
        batch: images of one shape, or tiles, per inference.
        tile: the side in pixels of the windows that images are cut into; None runs them whole.
        halo: context in pixels around the labels of a tile; None is what the network sees, for exact labels.
        threads: CPU threads of one inference; None divides the cores by the lanes.
        lanes: inferences at the same time, each with memory of its own; None is 2 on a CPU.
        workers: processes, or for few images threads, that decode and write them; None is cores + 2, at most 16.
        engine: contexts, slots and CUDA graphs of the runner "tensorrt"; None leaves its own.
        cluster: which Ray processes run it, on one machine or several; None for this process alone.
        format: "indexed" PNG with the palette, "raw" grey PNG (value = label), or "npy", a NumPy array.
        overlay: opacity 0..1 of the colours in NAME.overlay.jpg; None writes no overlays.
        areas: a CSV file of the pixels of each class in each image.
        confidence: a folder for the confidence of each label as grey PNG, 255 times its probability, and in `areas` a
            column of its mean; the model must give confidence or logits.
        skip_existing: whether to skip images that have whole results already, to continue a stopped run.
        keep_suffix: whether the result of a.jpg is a.jpg.png instead of a.png.
        stdin: where "-" reads paths, one per line or each ended by a zero byte.

    Returns:
        Counts, seconds, failures, and with `areas` the pixels of each class.

    Raises:
        DataError: there are no images, none of them can be used, or two would have the same result.
        OutputError: a result cannot be written; what was written before is whole and stays.
        RunnerError: the model cannot be opened, fails for several images in a row, or the cluster cannot be used.
        CheckpointError, GraphError, EngineError, ExportError: the model cannot be read.
        MissingDependencyError: an optional package is not installed, such as Ray for `cluster`.

    Example:
        >>> import fcn_deploy, numpy
        >>> from PIL import Image
        >>> Image.fromarray(numpy.zeros((48, 64, 3), numpy.uint8)).save("photo.png")
        >>> report = fcn_deploy.predict("demo", "photo.png", "masks")
        >>> report.written, Image.open("masks/photo.png").size
        (1, (64, 48))
    """
    if tile is None and halo is not None:
        raise DataError("a halo is the context of a tile, and images are not cut into tiles; give tile too")
    if runner == AUTO and (tile is not None or cluster is not None or engine is not None):
        raise RunnerError("auto times whole images in this process; name a runner for tiles, engines or a cluster")
    target = os.fspath(output)
    options = PredictOptions(
        model=os.fspath(model),
        images=tuple(os.fspath(one) for one in cast(Sequence[StrPath], images)),
        target=Storage.of(target) if is_address(target) else Path(target),
        format=format,
        overlay=overlay,
        areas=None if areas is None else Path(areas),
        confidence=None if confidence is None else Path(confidence),
        skip_existing=skip_existing,
        keep_suffix=keep_suffix,
        batch=batch,
        runner=runner,
        threads=threads,
        lanes=lanes,
        checkpoint_model=model_name,
        workers=workers,
        engine=engine,
        tiling=None if tile is None else Tiling(tile, halo),
    )
    sources = options.sources(stdin)
    total = count_images(sources)
    with ExitStack() as stack:
        labeller = _open_labeller(options, cluster, sources, total or 0, stack, progress)
        check_names(labeller.outputs, sources, skip=options.skip_existing)
        if options.skip_existing:
            labeller.outputs.remove_partial_files()
        return _run(options, sources, total, labeller, progress)


def _open_labeller(
    options: PredictOptions,
    cluster: Cluster | None,
    sources: list[ImageSource],
    images: int,
    stack: ExitStack,
    progress: Progress,
) -> Labeller:
    if cluster is None:
        return LocalLabeller(options, stack, progress, images=images, sample=partial(first_image, sources))
    from fcn_deploy.prediction.cluster.labeller import RayLabeller

    return RayLabeller(options, cluster, stack, progress)


def _area_table(options: PredictOptions, classes: tuple[str, ...]) -> AbstractContextManager[AreaTable]:
    assert options.areas is not None
    return open_area_table(options.areas, classes, options.confidence is not None)


def _run(
    options: PredictOptions, sources: list[ImageSource], total: int | None, labeller: Labeller, progress: Progress
) -> PredictReport:
    classes = () if labeller.card is None else labeller.card.classes
    counts = RunCounts()
    with ExitStack() as stack:
        table = None if options.areas is None else stack.enter_context(_area_table(options, classes))
        bar = progress if options.tiling is None else SILENT  # tiles have a bar of their own
        task = stack.enter_context(bar.task("predicting", total))
        check = stack.enter_context(labeller.interruptible())
        for finished in stack.enter_context(closing(labeller.label(sources))):
            counts.add(finished)
            if table is not None:
                table.add(finished)
            task.advance(note=f"{counts.rate():.1f} images/s")
            check()
        counts.check()
    seconds = counts.seconds()
    return PredictReport(
        model=options.model,
        runner=labeller.name,
        target=labeller.outputs.place,
        format=labeller.outputs.format,
        written=counts.written,
        skipped=counts.skipped,
        failures=tuple(counts.failures),
        seconds=seconds,
        classes=classes,
        pixels=None if table is None else tuple(table.total.tolist()),
        notes=labeller.notes,
        waited=None if labeller.clock is None else labeller.clock.shares(seconds),
        first_s=counts.first_s,
    )
