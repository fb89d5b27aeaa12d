"""From images to files of labels: decoding, inference and writing overlap, and memory does not grow."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import IO, TYPE_CHECKING

from fcn_deploy.prediction.areas import area_table
from fcn_deploy.prediction.images.lazy_images import count_items
from fcn_deploy.prediction.images.sources import ImageSource
from fcn_deploy.prediction.labeller import Labeller, Labelling
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
    """Label every image and write the results; an image that cannot be used stops nothing and is in the report.

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
        labelling = _opened(options, cluster, stack, progress)
        labelling.outputs.check_names(sources)
        if options.skip_existing:
            labelling.outputs.sweep()
        return _run(options, sources, labelling, progress)


def _opened(options: PredictOptions, cluster: Cluster | None, stack: ExitStack, progress: Progress) -> Labelling:
    if cluster is None:
        return Labeller(options, stack, progress)
    from fcn_deploy.prediction.cluster.labeller import RayLabeller

    return RayLabeller(options, cluster, stack, progress)


def _run(
    options: PredictOptions, sources: list[ImageSource], labelling: Labelling, progress: Progress
) -> PredictReport:
    classes = () if labelling.card is None else labelling.card.classes
    tally = RunCounts()
    with ExitStack() as stack:
        table = None if options.areas is None else stack.enter_context(area_table(options.areas, classes))
        bar = progress if options.tiling is None else SILENT  # tiles have a bar of their own
        task = stack.enter_context(bar.task("predicting", count_items(sources)))
        check = stack.enter_context(labelling.guard())
        for ended in stack.enter_context(closing(labelling.label(sources))):
            tally.add(ended)
            if table is not None:
                table.add(ended)
            task.advance(note=f"{tally.rate():.1f} images/s")
            check()
        tally.check()
    pixels = None if table is None else table.total
    return tally.report(options, labelling.name, classes, labelling.outputs, pixels, labelling.notes)
