"""Draw the curves of a run, and the IoU of each class, as SVG."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from fcn_deploy.page.scale import Scale, across, from_zero, up
from fcn_deploy.page.svg import SERIES, WIDTH, drawing, element, line, marker, path, shorten, text
from fcn_deploy.training.state import EpochRecord

HEIGHT, TOP, BOTTOM, LEFT = 220, 26, 30, 44
ROW, NAME, VALUE = 18, 120, 44
FEW = 30  # epochs; of more, no mark is drawn for each
SCORES = ((1, "mIoU"), (2, "boundary mIoU"), (3, "pixel accuracy"))
Points = list[tuple[float, float]]


def curve_plots(history: Sequence[EpochRecord]) -> list[Markup]:
    """Draw loss by epoch, and the scores of the validations, in per cent."""
    epochs = max(2, len(history))
    right = Scale(1, epochs, LEFT, WIDTH - 12)
    losses = [(float(record.epoch), record.loss) for record in history]
    upwards = from_zero([loss for _, loss in losses], HEIGHT - BOTTOM, TOP)
    scores = [(series, name, _scores(history, name)) for series, name in SCORES]
    drawn = [
        _plot("Loss, nats", right, upwards, epochs, [(0, "loss", losses)]),
        _plot("Validation, %", right, Scale(0, 100, HEIGHT - BOTTOM, TOP), epochs, scores),
    ]
    return drawn if any(points for *_, points in scores) else drawn[:1]


def _scores(history: Sequence[EpochRecord], name: str) -> Points:
    field = {"mIoU": "mean_iou", "boundary mIoU": "boundary_mean_iou", "pixel accuracy": "pixel_accuracy"}[name]
    found = [(record.epoch, getattr(record, field)) for record in history]
    return [(float(epoch), 100 * value) for epoch, value in found if value is not None]


def _plot(title: str, right: Scale, upwards: Scale, epochs: int, curves: Sequence[tuple[int, str, Points]]) -> Markup:
    ticks = [tick for tick in right.ticks(5) if tick == int(tick)]
    said = "; ".join(
        f"{name}: {points[-1][1]:.3g} at epoch {points[-1][0]:.0f}" for _, name, points in curves if points
    )
    lines = [_curve(series, name, points, right, upwards) for series, name, points in curves if points]
    return drawing(
        WIDTH, HEIGHT, title, f"{said}.", text(0, 14, f"{title}, by epoch", "ink strong"),
        up(upwards, LEFT, WIDTH - 12), across(right, TOP, HEIGHT - BOTTOM, ticks), *lines,
    )  # fmt: skip


def _curve(series: int, name: str, points: Points, right: Scale, upwards: Scale) -> Markup:
    places = [(right(epoch), upwards(value)) for epoch, value in points]
    shown = zip(places, points, strict=True) if len(points) <= FEW else [(places[-1], points[-1])]
    marks = [marker(x, y, series, f"{name}, epoch {epoch:.0f}: {value:.4g}") for (x, y), (epoch, value) in shown]
    return element("g", path(places, "line"), *marks, class_=f"s{series % SERIES}")


def class_plot(classes: Sequence[str], ious: Sequence[float | None]) -> Markup:
    """Draw a bar for the IoU of each class, 0..1; none where the class is neither in the labels nor predicted."""
    scale = Scale(0, 100, NAME, WIDTH - VALUE)
    height = TOP + ROW * len(classes) + BOTTOM
    bars = [
        _bar(name, iou, TOP + ROW * place, scale) for place, (name, iou) in enumerate(zip(classes, ious, strict=True))
    ]
    said = "; ".join(f"{name} {_percent(iou)}" for name, iou in zip(classes, ious, strict=True))
    return drawing(
        WIDTH, height, "IoU of each class", f"{said}.", text(0, 14, "IoU of each class, %", "ink strong"),
        across(scale, TOP, height - BOTTOM + 2, (0, 50, 100)), element("g", *bars, class_="s1"),
    )  # fmt: skip


def _bar(name: str, iou: float | None, top: float, scale: Scale) -> Markup:
    middle = top + ROW / 2
    parts = [
        text(NAME - 8, middle + 4, shorten(name, 16), "ink small", "end"),
        text(scale.end + VALUE, middle + 4, _percent(iou), "ink small", "end"),
        line(scale(0), top, scale(0), top + ROW, "base"),
    ]
    if iou is not None:
        width = scale(100 * iou) - scale(0)
        parts.append(element("rect", x=scale(0), y=middle - 5, width=width, height=10.0, class_="bar"))
    return element("g", element("title", f"{name}: {_percent(iou)}"), *parts)


def _percent(iou: float | None) -> str:
    return "-" if iou is None else f"{100 * iou:.1f}"
