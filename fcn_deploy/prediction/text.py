"""Render the summary of a run over images as text."""

from __future__ import annotations

from fcn_deploy.prediction.report import PredictReport
from fcn_deploy.prediction.stage_clock import bound
from fcn_deploy.system.formatting import count, number, share

MOST_LISTED = 20
ENOUGH_IMAGES = 100  # of fewer, too many are under way when the first is done


def render(report: PredictReport) -> str:
    """Render what was written, how fast, each class's share of the pixels, and the images that could not be used."""
    return "\n".join([headline(report), *report.notes, *areas(report), *failures(report)])


def headline(report: PredictReport) -> str:
    """Render counts, place, seconds, images per second and what bounds them, in one line."""
    skipped = f", {count(report.skipped, 'image')} had theirs already" if report.skipped else ""
    speed = f" in {number(report.seconds, 1)} s ({_rate(report)})" if report.written else ""
    bounded = f"; {bound_line(report.waited)}" if report.written and report.waited is not None else ""
    return f"{report.runner} wrote {count(report.written, 'label map')} to {report.target}{speed}{skipped}{bounded}"


def _rate(report: PredictReport) -> str:
    """Render images per second; also without the first image, where that took more than a tenth of the time."""
    rate = f"{number(report.images_per_s, 1)} images/s"
    if report.written < ENOUGH_IMAGES or report.first_s < 0.1 * report.seconds:
        return rate
    return f"{rate}, {number(report.images_per_s_after_first, 1)} after the first"


def bound_line(waited: dict[str, float]) -> str:
    """Say which stage bound a run, and for what part of the time the run waited for each."""
    parts = ", ".join(f"{part:.0%} for {stage}" for stage, part in waited.items())
    return f"bound by {bound(waited)} (waited {parts})"


def areas(report: PredictReport) -> list[str]:
    """Return one line per class, the largest first; [] if pixels were not counted."""
    if report.pixels is None:
        return []
    pixels = sum(report.pixels)
    rows = sorted(zip(report.classes, report.pixels, strict=True), key=lambda row: -row[1])
    return ["per cent of all pixels:", *(f"  {name:24} {share(part, pixels):>7}" for name, part in rows)]


def failures(report: PredictReport) -> list[str]:
    """Return the images without results, the first twenty by name."""
    if not report.failures:
        return []
    listed = [f"  {failure.reason}" for failure in report.failures[:MOST_LISTED]]
    more = len(report.failures) - len(listed)
    tail = [f"  and {more} more (--json lists them all)"] if more else []
    return [f"{count(len(report.failures), 'image')} could not be used:", *listed, *tail]
