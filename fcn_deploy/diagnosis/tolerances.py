"""Define how far a stage may be from the one before it, by its precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

from fcn_deploy.errors import UnknownNameError


@dataclass(frozen=True)
class Tolerance:
    """Limits of one precision.

    Attributes:
        labels: share of the pixels whose label may differ, 0..1.
        miou: points of mean IoU that may be lost, by the rule of `metrics.budget`, from `FEWEST_FOR_MIOU` labelled
            images on.
        layer: relative RMS error of one layer fed with the other network's tensors.
    """

    labels: float
    miou: float
    layer: float


Tolerances = Mapping[str, Tolerance]

# Healthy files, measured on FCNs trained on CamVid and on generated scenes: FP32 1e-6 a layer and 0.001 % of the
# labels, FP16 5e-4 and 0.02 %, INT8 0.01 to 0.05 and 0.3 to 0.7 %. A scale ten times too small: 0.5 to 0.9.
TOLERANCES: Tolerances = {
    "fp32": Tolerance(labels=1e-4, miou=0.05, layer=1e-3),
    "fp16": Tolerance(labels=5e-3, miou=0.05, layer=1e-2),
    "bf16": Tolerance(labels=2e-2, miou=0.1, layer=5e-2),
    "int8": Tolerance(labels=2e-2, miou=0.3, layer=0.2),
    "fp8": Tolerance(labels=5e-2, miou=1.0, layer=0.2),
}
# Logits this far apart, as a share of the largest one, are no longer a matter of rounding in FP32: two logits may each
# be off by the 1e-4 that the proof of an export grants.
ROUNDING = 2e-4
# A layer also stands out if its error is this many times the median of the layers of its precision, and more
# than this share of its limit.
TIMES_MEDIAN, LEAST_SHARE = 4.0, 0.25
FEWEST_FOR_MEDIAN = 4
# Percentile intervals of fewer images are too narrow to say that IoU was lost.
FEWEST_FOR_MIOU = 8


def limits_of(claim: str) -> str:
    """Return the precision whose limits apply to a stage: its own, "int8" if that is not known."""
    return claim if claim in TOLERANCES else "int8"


def with_changes(changes: Sequence[tuple[str, str, float]]) -> Tolerances:
    """Return the limits with some of them replaced: (precision, attribute, value in the attribute's unit).

    Raises:
        UnknownNameError: no such precision or limit.
    """
    limits = dict(TOLERANCES)
    names = [field.name for field in fields(Tolerance)]
    for precision, name, value in changes:
        if precision not in limits:
            raise UnknownNameError.of("precision", precision, limits)
        if name not in names:
            raise UnknownNameError.of("limit", name, names)
        limits[precision] = replace(limits[precision], **{name: value})
    return limits
