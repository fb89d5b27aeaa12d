"""Define the report of a quantization."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fcn_deploy.data.digests import Overlap
from fcn_deploy.metrics.agreement import PixelShare
from fcn_deploy.quantization.calibration.collect import CacheUse
from fcn_deploy.quantization.calibration.images import CalibrationContent
from fcn_deploy.quantization.rewrites.equalize import EqualizedTensor
from fcn_deploy.quantization.rewrites.half import HalfReport
from fcn_deploy.quantization.rewrites.qdq import Range
from fcn_deploy.quantization.search.result import SearchReport
from fcn_deploy.system.serialization.plain import plain
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
        equalized: the layers whose channels were equalised.
        asked_to_equalize: whether every tensor was to be equalised, if only a little.
        bias_changes: convolution -> largest change of a bias by its correction; empty if none was asked for.
        ranges: quantised tensor -> (low, high) that its 8 bits cover.
        clipped: quantised tensor -> share of its calibration values outside.
        kept_in_float: convolutions that are not quantised.
        half: the rewrite to FP16 or BF16, of the rest where there is INT8 or FP8; None if there was none.
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
    equalized: tuple[EqualizedTensor, ...]
    bias_changes: Mapping[str, float]
    ranges: Mapping[str, Range]
    clipped: Mapping[str, float]
    kept_in_float: Mapping[str, str]
    half: HalfReport | None
    largest_activation: tuple[str, float] | None
    agreement: PixelShare | None
    bytes_before: int
    bytes_after: int
    seconds: float
    cache: CacheUse | None = None
    overlap: Overlap | None = None
    search: SearchReport | None = None
    asked_to_equalize: bool = False

    def to_plain(self) -> dict[str, Any]:
        """Return the report as JSON holds it; shares are fractions 0..1, `agreed` is [pixels that agree, pixels]."""
        half = self.half
        short = "fp16" if half is None else half.type.name
        tensors = {
            name: {"low": low, "high": high, "clipped": self.clipped[name]} for name, (low, high) in self.ranges.items()
        }
        return {
            "schema": 1,
            "kind": "quantization",
            "path": str(self.path),
            "source": str(self.source),
            "precision": self.precision,
            "target": self.target,
            "method": self.method,
            **self.calibration_plain(),
            "equalized": plain(self.equalized),
            "bias_changes": dict(self.bias_changes),
            "tensors": plain(tensors),
            f"kept_from_{'fp8' if self.precision.startswith('fp8') else 'int8'}": dict(self.kept_in_float),
            f"kept_from_{short}": {} if half is None else dict(half.kept),
            f"{short}_nodes": [] if half is None else list(half.converted),
            "weights_vanishing": {} if half is None else plain(half.vanished),
            "weights_overflowing": [] if half is None else list(half.overflowing),
            "largest_activation": plain(self.largest_activation),
            "agreed": None if self.agreement is None else [self.agreement.agreed, self.agreement.pixels],
            "search": None if self.search is None else self.search.to_plain(),
            "bytes_before": self.bytes_before,
            "bytes_after": self.bytes_after,
            "seconds": self.seconds,
        }

    def calibration_plain(self) -> dict[str, Any]:
        """Return what the calibration images held, every name in full."""
        coverage = self.coverage or CalibrationContent(())
        shared = None
        if self.overlap is not None:
            shared = {"validation_images": self.overlap.validation, "shared": plain(self.overlap.shared)}
        return {
            "images": coverage.frames.names,
            "repeated_images": plain(coverage.frames.repeated),
            "images_of_few_colours": coverage.few_colours,
            "validation_overlap": shared,
            "classes": list(coverage.classes),
            "class_pixels": None if coverage.pixels is None else coverage.pixels.tolist(),
            "calibration_cache": plain(self.cache),
        }
