"""Judge without labels whether images still fit the calibration of an INT8 file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Annotated, cast

from fcn_deploy.data.dataset import Dataset
from fcn_deploy.data.options import DataOptions
from fcn_deploy.drift.judge import (
    FEWEST,
    DriftLimits,
    judge_appearance,
    judge_classes,
    judge_labels,
    judge_pooled_ranges,
    judge_ranges,
)
from fcn_deploy.drift.networks import Networks, open_networks
from fcn_deploy.drift.observe import NamedImage
from fcn_deploy.drift.result import DriftReport, TensorDrift
from fcn_deploy.errors import DataError, RecordError
from fcn_deploy.prediction.images.lazy_images import count_images, iterate_images
from fcn_deploy.prediction.images.sources import ImageSource, find_sources
from fcn_deploy.prediction.report import Failure
from fcn_deploy.quantization.calibration.cache import CacheKey, read_cache
from fcn_deploy.quantization.calibration.image_statistics import ImageStatistics, chosen_rows
from fcn_deploy.quantization.calibration.images import calibration_options, open_images
from fcn_deploy.quantization.calibration.measure import TensorStatistics
from fcn_deploy.system.apart import reads
from fcn_deploy.system.arguments import Positive, Threads, checked
from fcn_deploy.system.files import StrPath
from fcn_deploy.system.formatting import count
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.system.serialization.decode import Count, at_least

IMAGES = 200
LIMITS = DriftLimits()
Share = Annotated[float, at_least(0, 1, "a number")]


@checked
def watch(
    model: StrPath,
    images: StrPath | Sequence[StrPath],
    *,
    reference: StrPath | None = None,
    calibration: StrPath | DataOptions | None = None,
    calibration_cache: StrPath | None = None,
    max_images: Positive = IMAGES,
    false_alarms: Annotated[float, at_least(0.001, 0.5, "a number")] = LIMITS.false_alarms,
    max_beyond: Share = LIMITS.beyond,
    max_differing: Share | None = None,
    runner: str | None = None,
    radius: Count = 3,
    threads: Threads | None = None,
    stdin: IO[bytes] | None = None,
    progress: Progress = SILENT,
) -> DriftReport:
    """Judge whether images still fit the calibration of an INT8 file; they need no labels.

    Args:
        model: an INT8 .onnx file.
        images: image files, folders, globs, list files, videos, "-" or addresses of object storage, as for `predict`.
        reference: the FP32 file that it was made from, or its checkpoint, to count the labels that FP32 gives
            otherwise; None compares the ranges, the classes and the appearance alone.
        calibration: the images that the file was calibrated with, as for `quantize`; they are run again.
        calibration_cache: in place of these, the file that `quantize` kept its measurements in: then nothing is run
            again, and for the ranges and labels the limits are fixed.
        max_images: the most images that are run, spread over all.
        false_alarms: share of sets like the calibration's that may be out, by which limits are chosen.
        max_beyond: share of a tensor's values outside its range that is always in order.
        max_differing: share of labels unlike the reference's from which on they are out; None is twice the share of
            the calibration images, and 0.02 where that is not known.
        runner: what runs the INT8 file where there is a reference, as for `load`.
        radius: half width of the boundary band in pixels.
        threads: CPU threads; None leaves the number to the runner.
        stdin: where "-" reads paths, one per line or each ended by a zero byte.

    Returns:
        Each figure of these images next to the calibration's, with its limit; `fits` is False where one is out, and
        None where there are too few images to judge.

    Raises:
        GraphError: a file cannot be read or run, nothing in `model` is quantised, or the reference is.
        DataError: there are no images, none of them can be used, or the reference has other classes.
        RunnerError: the runner cannot be opened, or fails for several images in a row.

    Example:
        >>> import fcn_deploy, numpy
        >>> from PIL import Image
        >>> report = fcn_deploy.quantize("demo.onnx", "int8.onnx", precision="int8", calibration="synthetic:8:0:48x64")
        >>> for index in range(8):
        ...     Image.fromarray(numpy.zeros((48, 64, 3), numpy.uint8)).save(f"night{index}.png")
        >>> found = fcn_deploy.watch("int8.onnx", "night*.png", calibration="synthetic:8:0:48x64")
        >>> found.fits, found.appearance[0].name, found.appearance[0].out
        (False, 'brightness', True)
    """
    chosen = DriftLimits(false_alarms, max_beyond, max_differing)
    given = tuple(os.fspath(one) for one in cast(Sequence[StrPath], images))
    sources = find_sources(given, stdin=stdin)
    with ExitStack() as stack:
        networks = open_networks(Path(model), reference, runner, threads, stack, progress)
        before, baseline = _calibration(networks, calibration, calibration_cache, radius, progress)
        items, total, available = _spread(sources, max_images)
        changes = before.changes if isinstance(before, ImageStatistics) else None
        margin = None if changes is None else changes.margin
        today, failures = networks.observe(items, total, progress, margin=margin, radius=radius)
    return _report(networks, today, before, chosen, baseline, available, failures)


def _calibration(
    networks: Networks,
    calibration: StrPath | DataOptions | None,
    cache: StrPath | None,
    radius: int,
    progress: Progress,
) -> tuple[ImageStatistics | TensorStatistics, str]:
    """Return what the calibration images showed, and where that comes from."""
    if calibration is not None and cache is not None:
        raise DataError("the calibration images and their cache exclude each other; give --calib or --calib-cache")
    if cache is not None:
        reads(Path(cache))
        return _cached(networks, Path(cache))
    if calibration is None:
        raise DataError(
            f"there is nothing to compare with: give the images that {networks.model.name} was calibrated with "
            "(--calib), or their cache (--calib-cache)"
        )
    options = calibration_options(calibration)
    dataset = open_images(networks.card, options, progress)
    items = _dataset_images(dataset)
    found, failures = networks.observe(items, len(dataset), progress, radius=radius, description="calibration images")
    if failures and options.on_error == "raise":
        raise DataError(f"{failures[0].name}: {failures[0].reason}")
    return found, f"{count(found.images, 'image')} of {dataset.name}, run again"


def _cached(networks: Networks, path: Path) -> tuple[TensorStatistics, str]:
    """Return what `quantize` kept; RecordError if the cache is not there, damaged, or of another file."""
    found = read_cache(path, None)
    if found.calibration is None or found.key is None:
        raise RecordError(f"{path} {found.reason or 'does not exist'}; expected a cache of `quantize --calib-cache`")
    if networks.graph and not _measured_on(networks, found.key):
        raise RecordError(
            f"{path} was measured on another file than {networks.reference}; give the cache of its own calibration, "
            "or the images (--calib)"
        )
    return found.calibration, f"{count(found.key.count, 'calibration image')} of {path.name}"


def _measured_on(networks: Networks, key: CacheKey) -> bool:
    """Tell whether a cache is of the reference; one of an earlier version names its equalised graph alone."""
    return networks.graph == (key.original or key.graph) or (networks.equalized and not key.original)


def _dataset_images(dataset: Dataset) -> Iterator[NamedImage]:
    for index in range(len(dataset)):
        yield NamedImage(f"{dataset.name} {index}", lambda index=index: dataset[index].image)  # type: ignore[misc]


def _spread(sources: Sequence[ImageSource], most: int) -> tuple[Iterator[NamedImage], int | None, int | None]:
    """Return up to `most` images, spread evenly where their number is known; their number, and that of all."""
    available = count_images(sources)
    chosen = frozenset(chosen_rows(available or 0, most)) if available is not None else None
    total = None if available is None else min(available, most)
    return _named(sources, chosen, most), total, available


def _named(sources: Sequence[ImageSource], chosen: frozenset[int] | None, most: int) -> Iterator[NamedImage]:
    for item in iterate_images(sources):
        if item.index in chosen if chosen is not None else item.index < most:
            yield NamedImage(str(item.name), item.load)


def _report(
    networks: Networks,
    today: ImageStatistics,
    before: ImageStatistics | TensorStatistics,
    chosen: DriftLimits,
    baseline: str,
    available: int | None,
    failures: tuple[Failure, ...],
) -> DriftReport:
    single = before if isinstance(before, ImageStatistics) else None
    profile = before.profile
    notes = (NO_REFERENCE,) * (networks.reference is None) + (NO_PROFILE,) * (profile is None)
    return DriftReport(
        model=networks.model.name,
        reference=None if networks.reference is None else networks.reference.name,
        images=today.images,
        calibration_images=before.images,
        available=available,
        baseline=baseline,
        unjudged=_unjudged(today.images, before.images),
        false_alarms=chosen.false_alarms,
        tensors=_judge_ranges(today, before, chosen),
        labels=judge_labels(today.changes, None if single is None else single.changes, chosen),
        classes=None if profile is None else judge_classes(today.profile, profile, networks.classes, chosen),
        appearance=() if profile is None else judge_appearance(today.profile, profile, chosen),
        failures=failures,
        notes=notes,
    )


def _judge_ranges(
    today: ImageStatistics, before: ImageStatistics | TensorStatistics, chosen: DriftLimits
) -> tuple[TensorDrift, ...]:
    if isinstance(before, TensorStatistics):
        return judge_pooled_ranges(today, before, chosen)
    return judge_ranges(today, before, chosen)


NO_PROFILE = (
    "the cache is of an earlier version, without figures of single images: classes and appearance were not compared; "
    "`fcn-deploy quantize` with the same --calib and --calib-cache adds them"
)
NO_REFERENCE = "labels were not compared with FP32's: --reference names the FP32 file"


def _unjudged(images: int, calibration: int) -> str:
    """Return why the images cannot be judged; "" if they can."""
    if images < FEWEST:
        return f"{count(images, 'image')} {'is' if images == 1 else 'are'} too few to judge; give {FEWEST} or more"
    if calibration < FEWEST:
        return f"{count(calibration, 'calibration image')} are too few to judge by; calibrate with {FEWEST} or more"
    return ""
