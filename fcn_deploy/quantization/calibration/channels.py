"""Measure the channels of a graph's tensors on images: what equalisation and bias correction need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.errors import DataError, GraphError
from fcn_deploy.quantization.calibration.measure import Feeds, watched_tensors
from fcn_deploy.system.progress import SILENT, Progress


@dataclass(frozen=True)
class ChannelStatistics:
    """Statistics of each channel, float64[C] by tensor.

    Attributes:
        largest: largest |x|.
        mean: mean over images and pixels, every image with the same weight.
    """

    largest: Mapping[str, NDArray[np.float64]]
    mean: Mapping[str, NDArray[np.float64]]


def measure_channels(
    path: Path, feeds: Iterable[Feeds], names: Sequence[str], total: int | None = None, progress: Progress = SILENT
) -> ChannelStatistics:
    """Run an FP32 file on images and return the statistics of the float tensors `names`, [N, C, H, W] each.

    Raises:
        DataError: there was no image.
        GraphError: a value is NaN or infinite, there is no such tensor, or the graph does not take an image.
    """
    largest: dict[str, NDArray[np.float64]] = {}
    sums: dict[str, NDArray[np.float64]] = {}
    count = 0
    for count, seen in enumerate(watched_tensors(path, feeds, names, total, progress), start=1):
        for name in names:
            values = seen[name]
            top = np.abs(values).max(axis=(0, 2, 3)).astype(np.float64)
            if not np.isfinite(top).all():
                raise GraphError(
                    f"the result of {name} is NaN or infinite on calibration image {count}, in FP32 already"
                )
            largest[name] = np.maximum(largest.get(name, 0.0), top)
            sums[name] = sums.get(name, 0.0) + values.mean(axis=(0, 2, 3), dtype=np.float64)
    if count == 0:
        raise DataError("there is no calibration image; give a data set (--calib) with at least one")
    return ChannelStatistics(largest, {name: total / count for name, total in sums.items()})
