"""Define the report of `watch`: each figure of today's images next to the calibration's, with its limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fcn_deploy.metrics.bootstrap import Interval
from fcn_deploy.prediction.report import Failure
from fcn_deploy.system.serialization.plain import plain

SCHEMA = 1


@dataclass(frozen=True)
class TensorDrift:
    """One quantised tensor; shares are fractions 0..1.

    Attributes:
        low, high: the range that its 8 bits cover.
        today, calibration: share of its values outside.
        limit: the share from which on it is out.
        excess, calibration_excess: how far the farthest value lies outside, in widths of the range.
    """

    name: str
    low: float
    high: float
    today: float
    calibration: float
    limit: float
    excess: float
    calibration_excess: float

    @property
    def out(self) -> bool:
        return self.today > self.limit


@dataclass(frozen=True)
class LabelDrift:
    """Labels that FP32 gives otherwise, in one region; shares are fractions 0..1.

    Attributes:
        region: "all", "boundary" or "low margin".
        today: with its interval over images.
        calibration: on calibration images; None where that is not known.
        limit: what the whole interval lies above if it is out; None where there is none.
    """

    region: str
    today: Interval
    calibration: float | None
    limit: float | None

    @property
    def out(self) -> bool:
        return self.limit is not None and self.today.low is not None and self.today.low > self.limit


@dataclass(frozen=True)
class ClassDrift:
    """Share of the pixels that are labelled as one class, 0..1; `limit` is the largest change that is in order."""

    name: str
    today: float
    calibration: float
    limit: float

    @property
    def moved(self) -> bool:
        return abs(self.today - self.calibration) > self.limit


@dataclass(frozen=True)
class ClassShares:
    """The classes together.

    Attributes:
        distance: share of the pixels that would have to change class (total variation), 0..1.
        limit: from which on it is out.
    """

    distance: float
    limit: float
    classes: tuple[ClassDrift, ...]

    @property
    def out(self) -> bool:
        return self.distance > self.limit

    def to_plain(self) -> dict[str, Any]:
        """Return the shares as JSON holds them, each class with whether it moved."""
        classes = [{**plain(each), "moved": each.moved} for each in self.classes]
        return {"distance": self.distance, "limit": self.limit, "classes": classes, "out": self.out}


@dataclass(frozen=True)
class AppearanceDrift:
    """One figure of what the images look like; it is out below `low` and above `high`.

    Attributes:
        name: "brightness", "red less blue", "contrast", "detail", "height" or "width".
    """

    name: str
    today: float
    calibration: float
    low: float
    high: float

    @property
    def out(self) -> bool:
        return not self.low <= self.today <= self.high


@dataclass(frozen=True)
class DriftReport:
    """What `watch` found.

    Attributes:
        model, reference: the INT8 file, and the FP32 file; None where there was none.
        images, calibration_images: how many images of either set the figures are of.
        available: how many images were given; more than `images` where they were thinned out or could not be read.
        baseline: where the calibration's figures come from, in words.
        unjudged: why the images cannot be judged; "" if they were.
        false_alarms: the share of sets like the calibration's that would be out, 0..1, by which limits were chosen.
        labels: empty without a reference; classes, appearance: None and empty where the calibration's are not known.
        failures: images that could not be used.
        notes: what was not compared, and why.
    """

    model: str
    reference: str | None
    images: int
    calibration_images: int
    available: int | None
    baseline: str
    unjudged: str
    false_alarms: float
    tensors: tuple[TensorDrift, ...]
    labels: tuple[LabelDrift, ...]
    classes: ClassShares | None
    appearance: tuple[AppearanceDrift, ...]
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def fits(self) -> bool | None:
        """Whether nothing is out; None where the images were not judged."""
        if self.unjudged:
            return None
        parts = [*(each.out for each in self.tensors), *(each.out for each in self.labels)]
        parts.append(self.classes is not None and self.classes.out)
        return not any([*parts, *(each.out for each in self.appearance)])

    def to_plain(self) -> dict[str, Any]:
        """Return the report as JSON holds it, each figure with whether it is out."""
        found = {
            **plain(self),
            "tensors": [{**plain(each), "out": each.out} for each in self.tensors],
            "labels": [{**plain(each), "out": each.out} for each in self.labels],
            "classes": None if self.classes is None else self.classes.to_plain(),
            "appearance": [{**plain(each), "out": each.out} for each in self.appearance],
        }
        return {"schema": SCHEMA, "kind": "drift", "fits": self.fits, **found}
