"""Compare two sets of images figure by figure, each with a limit that sets of one kind seldom pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fcn_deploy.drift.resampling import Counts, Values, differences, limits
from fcn_deploy.drift.result import AppearanceDrift, ClassDrift, ClassShares, LabelDrift, TensorDrift
from fcn_deploy.errors import GraphError
from fcn_deploy.metrics.bootstrap import Interval, interval, multiplicities
from fcn_deploy.quantization.calibration.image_profile import APPEARANCE, ImageProfile
from fcn_deploy.quantization.calibration.image_statistics import REGIONS, ImageStatistics, LabelChanges
from fcn_deploy.quantization.calibration.measure import TensorStatistics
from fcn_deploy.system.formatting import some

# Fewer images say nothing about a set.
FEWEST = 8
# Limits are this many times as wide as those of draws from the calibration set: the images to come are of other places
# and days than it holds. See docs/design/drift.md for the false alarms with and without.
MARGIN = 2.0
# Labels of the INT8 file may differ from FP32's on this many times the share of pixels as on the calibration images.
TIMES = 2.0
DIFFERING = 0.02  # where nothing is known of the calibration images: as `fcn-deploy diagnose` grants an INT8 file
# Heights and widths up to this many times those of the calibration images are in order, and down to the inverse.
SIZES = 1.5
PARTS = 3  # ranges, classes and appearance share the false alarms
# Least spreads that figures are taken to have. Shares beyond a range: of the logarithm; below one value in ten thousand
# shares count as alike. Classes: of the share of pixels. Appearance: brightness and colour in 0..255, logarithms.
BEYOND_SPREAD, BEYOND_ALIKE, CLASS_SPREAD = 0.1, 1e-4, 0.002
APPEARANCE_SPREAD = np.array([2.0, 1.0, 0.03, 0.05])


@dataclass(frozen=True)
class DriftLimits:
    """What a user may set.

    Attributes:
        false_alarms: share of sets of the calibration's kind that may be out, 0..1.
        beyond: share of a tensor's values outside its range that is always in order.
        differing: share of labels unlike FP32's from which on they are out; None is twice the calibration's share, and
            `DIFFERING` where that is not known.
    """

    false_alarms: float = 0.05
    beyond: float = 0.001
    differing: float | None = None

    @property
    def level(self) -> float:
        """Share of the draws in which no figure of a part is out."""
        return 1 - self.false_alarms / PARTS


def judge_ranges(today: ImageStatistics, before: ImageStatistics, chosen: DriftLimits) -> tuple[TensorDrift, ...]:
    """Return the quantised tensors, in order; only more values outside a range than in the calibration are out."""
    counts = Counts(before.beyond, before.values)
    drawn = np.maximum(differences(counts, today.images, _log_share), 0)
    allowed = MARGIN * limits(drawn, chosen.level, BEYOND_SPREAD)
    own, calibration = Counts(today.beyond, today.values).share(), counts.share()
    most = np.maximum((calibration + BEYOND_ALIKE) * np.exp(allowed) - BEYOND_ALIKE, chosen.beyond)
    return tuple(
        TensorDrift(name, *edges, *map(float, figures))
        for (name, edges), *figures in zip(
            today.ranges.items(), own, calibration, most, today.excess, before.excess, strict=True
        )
    )


def judge_pooled_ranges(
    today: ImageStatistics, before: TensorStatistics, chosen: DriftLimits
) -> tuple[TensorDrift, ...]:
    """Return the quantised tensors against distributions over all calibration images at once.

    Nothing can be drawn from these, so the limit is twice the calibration's share.

    Raises:
        GraphError: a tensor is not among them.
    """
    missing = [name for name in today.ranges if name not in before.histograms]
    if missing:
        raise GraphError(
            f"the calibration cache lacks {some(missing, 3)}: it was measured on another network; give its own "
            "(--calib-cache), or the calibration images (--calib)"
        )
    own, found = Counts(today.beyond, today.values).share(), []
    for (name, (low, high)), share, excess in zip(today.ranges.items(), own, today.excess, strict=True):
        seen = before.histograms[name]
        calibration = seen.share_outside(low, high)
        farthest = max(low - seen.low, seen.high - high, 0.0) / (high - low) if high > low else 0.0
        most = max(TIMES * calibration, chosen.beyond)
        found.append(TensorDrift(name, low, high, float(share), calibration, most, float(excess), farthest))
    return tuple(found)


def judge_classes(
    today: ImageProfile, before: ImageProfile, classes: Sequence[str], chosen: DriftLimits
) -> ClassShares:
    """Return each class's share of the pixels, and the distance of all."""
    counts, own = _class_counts(before), _class_counts(today).share()
    drawn, calibration = differences(counts, today.images, _same), counts.share()
    allowed = MARGIN * limits(drawn, chosen.level, CLASS_SPREAD)
    # A distance cannot be more in order than one class alone may move.
    most = max(MARGIN * float(np.quantile(_distance(drawn), chosen.level)), CLASS_SPREAD)
    found = zip(classes, own, calibration, allowed, strict=True)
    drifts = tuple(ClassDrift(name, *map(float, figures)) for name, *figures in found)
    return ClassShares(float(_distance((own - calibration)[None])[0]), most, drifts)


def judge_appearance(today: ImageProfile, before: ImageProfile, chosen: DriftLimits) -> tuple[AppearanceDrift, ...]:
    """Return what the images look like, and their sizes."""
    counts = Counts(before.appearance, np.ones_like(before.appearance))
    drawn = differences(counts, today.images, _appearance_scale)
    allowed = MARGIN * limits(drawn, chosen.level, APPEARANCE_SPREAD)
    own, calibration = today.appearance.mean(axis=0), before.appearance.mean(axis=0)
    middle = _appearance_scale(calibration[None])[0]
    lows, highs = (_appearance_unscaled(middle + sign * allowed) for sign in (-1, 1))
    figures = zip(APPEARANCE, own, calibration, lows, highs, strict=True)
    looks = tuple(AppearanceDrift(name, *map(float, numbers)) for name, *numbers in figures)
    return (*looks, *_sizes(today, before))


def judge_labels(
    today: LabelChanges | None, before: LabelChanges | None, chosen: DriftLimits
) -> tuple[LabelDrift, ...]:
    """Return the share of labels that FP32 gives otherwise, by region; empty where none were compared.

    `DriftLimits.differing` is for all pixels. Otherwise the limit is twice the calibration's share, or what sets drawn
    from the calibration images reach where that is more: some streets are harder than others.
    """
    if today is None:
        return ()
    reached = None if before is None else _reached(before, len(today.pixels), chosen)
    found = []
    for index, region in enumerate(REGIONS):
        share = _interval(today, index)
        known = None if before is None or not before.pixels[:, index].sum() else _interval(before, index).value
        limit = None if known is None or reached is None else max(TIMES * known, float(reached[index]))
        if region == "all":
            limit = chosen.differing if chosen.differing is not None else limit or DIFFERING
        if today.pixels[:, index].sum():
            found.append(LabelDrift(region, share, known, limit))
    return tuple(found)


def _interval(changes: LabelChanges, index: int) -> Interval:
    counts = Counts(changes.differing[:, [index]].astype(float), changes.pixels[:, [index]].astype(float))
    images = len(changes.pixels)
    drawn = counts.drawn(multiplicities(images).astype(float))[:, 0] if images > 1 else np.zeros(0)
    return interval(float(counts.share()[0]), drawn)


def _reached(before: LabelChanges, images: int, chosen: DriftLimits) -> Values:
    """Return float64[3]: the share of each region that sets of so many images stay below in most of the draws."""
    counts = Counts(before.differing.astype(np.float64), before.pixels.astype(np.float64))
    drawn = np.maximum(differences(counts, images, _log_share), 0)
    allowed = limits(drawn, chosen.level, BEYOND_SPREAD)
    return np.asarray((counts.share() + BEYOND_ALIKE) * np.exp(allowed) - BEYOND_ALIKE)


def _class_counts(of: ImageProfile) -> Counts:
    pixels = of.pixels.astype(np.float64)
    return Counts(pixels, np.broadcast_to(pixels.sum(axis=1, keepdims=True), pixels.shape))


def _sizes(today: ImageProfile, before: ImageProfile) -> tuple[AppearanceDrift, ...]:
    """Return the median height and width, in pixels, against the smallest and the largest of the calibration."""
    found = []
    for index, name in enumerate(("height", "width")):
        own, sides = float(np.median(today.sizes[:, index])), before.sizes[:, index]
        found.append(
            AppearanceDrift(name, own, float(np.median(sides)), float(sides.min()) / SIZES, float(sides.max()) * SIZES)
        )
    return tuple(found)


def _same(shares: Values) -> Values:
    return shares


def _log_share(shares: Values) -> Values:
    return np.asarray(np.log(shares + BEYOND_ALIKE))


def _distance(changes: Values) -> Values:
    """Return float64[draws], half the sum of the changes' sizes, of float64[draws, C]."""
    return np.asarray(np.abs(changes).sum(axis=1) / 2)


def _appearance_scale(looks: Values) -> Values:
    """Return contrast and detail as logarithms: they are compared as ratios."""
    scaled: Values = looks.copy()
    scaled[:, 2:] = np.log(np.maximum(looks[:, 2:], 1e-3))
    return scaled


def _appearance_unscaled(scaled: Values) -> Values:
    unscaled: Values = np.concatenate([scaled[:2], np.exp(scaled[2:])])
    return unscaled
