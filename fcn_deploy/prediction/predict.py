"""Label images and write the results: decoding, inference and writing overlap, in constant memory."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import IO, TYPE_CHECKING

from fcn_deploy.prediction.areas import open_area_table
from fcn_deploy.prediction.images.lazy_images import count_images
from fcn_deploy.prediction.images.sources import ImageSource
from fcn_deploy.prediction.labeller import Labeller, LocalLabeller
from fcn_deploy.prediction.options import PredictOptions
from fcn_deploy.prediction.report import PredictReport, RunCounts
from fcn_deploy.system.progress import SILENT, Progress

if TYPE_CHECKING:
    from fcn_deploy.prediction.cluster.resources import Cluster


def predict(
    options: PredictOptions,
    *,
    cluster: Cluster | None = None,
    stdin: IO[bytes] | None = None,
    progress: Progress = SILENT,
) -> PredictReport:
    """Label every image and write the results; an image that cannot be used is skipped and reported.

    Args:
        cluster: the processes that Ray runs it in, on one machine or several; None for this process alone.
        stdin: where "-" reads the paths.

    Raises:
        DataError: there are no images, none of them can be used, or two would share a result.
        OutputError: a result cannot be written; what was written before is whole and stays.
        RunnerError: the model cannot be opened, or fails for one image after the other; or the cluster cannot be used.
        CheckpointError, GraphError, EngineError, ExportError: the model cannot be read.
        MissingDependencyError: an optional package is needed (Ray for `cluster`) and is not there.
    """
    sources = options.sources(stdin)
    with ExitStack() as stack:
        labeller = _open_labeller(options, cluster, stack, progress)
        labeller.outputs.check_names(sources)
        if options.skip_existing:
            labeller.outputs.remove_partial_files()
        return _run(options, sources, labeller, progress)


def _open_labeller(options: PredictOptions, cluster: Cluster | None, stack: ExitStack, progress: Progress) -> Labeller:
    if cluster is None:
        return LocalLabeller(options, stack, progress)
    from fcn_deploy.prediction.cluster.labeller import RayLabeller

    return RayLabeller(options, cluster, stack, progress)


def _run(options: PredictOptions, sources: list[ImageSource], labeller: Labeller, progress: Progress) -> PredictReport:
    classes = () if labeller.card is None else labeller.card.classes
    counts = RunCounts()
    with ExitStack() as stack:
        table = None if options.areas is None else stack.enter_context(open_area_table(options.areas, classes))
        bar = progress if options.tiling is None else SILENT  # tiles have a bar of their own
        task = stack.enter_context(bar.task("predicting", count_images(sources)))
        check = stack.enter_context(labeller.interruptible())
        for finished in stack.enter_context(closing(labeller.label(sources))):
            counts.add(finished)
            if table is not None:
                table.add(finished)
            task.advance(note=f"{counts.rate():.1f} images/s")
            check()
        counts.check()
    pixels = None if table is None else table.total
    return counts.report(options, labeller.name, classes, labeller.outputs, pixels, labeller.notes)
