"""Define the report of a quantization."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fcn_deploy.data.digests import Overlap
from fcn_deploy.metrics.agreement import PixelShare
from fcn_deploy.quantization.calibration.collect import CacheUse
from fcn_deploy.quantization.calibration.images import (
    CalibrationContent,
)
from fcn_deploy.quantization.rewrites.fp16 import Fp16Report
from fcn_deploy.quantization.rewrites.qdq import Range
from fcn_deploy.quantization.search.result import SearchReport
from fcn_deploy.vocabulary import Method, QuantizedPrecision, Target


@dataclass(frozen=True)
class QuantizeReport:
    """Hold what was written and what the images showed.

    Attributes:
        path, source: the file that was written, and the FP32 file.
        images: calibration images; 0 if there were none.
        coverage: their names and classes; None if there were none.
        cache: what the calibration cache was good for; None if none was named.
        overlap: calibration images that are validation images too; None if there was no validation set.
        ranges: quantised tensor -> (low, high) that its 8 bits cover.
        clipped: quantised tensor -> share of its calibration values outside.
        kept_from_int8, half: what stayed in float, and the FP16 rewrite; None if there was none.
        largest_activation: tensor and |x|, over all tensors that were watched.
        agreement: pixels whose label is the FP32 file's, on the first calibration images; None if there were none.
        search: what the search for layers found; None if there was none.
    """

    path: Path
    source: Path
    precision: QuantizedPrecision
    target: Target
    method: Method
    images: int
    coverage: CalibrationContent | None
    ranges: Mapping[str, Range]
    clipped: Mapping[str, float]
    kept_from_int8: Mapping[str, str]
    half: Fp16Report | None
    largest_activation: tuple[str, float] | None
    agreement: PixelShare | None
    bytes_before: int
    bytes_after: int
    seconds: float
    cache: CacheUse | None = None
    overlap: Overlap | None = None
    search: SearchReport | None = None
