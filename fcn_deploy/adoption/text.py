"""Render an adoption and its proof as lines."""

from __future__ import annotations

from fcn_deploy.adoption.adopt import AdoptReport
from fcn_deploy.vocabulary import shape_text


def render(report: AdoptReport) -> str:
    """Return how the file was read, a line per shape of the proof, the sizes that it takes, and the file."""
    lines = [
        f"input {report.image.name}: {report.image.dtype.name.lower()} {report.image.layout}, {_normalised(report)}",
        f"output {report.scores.name}: {_scores(report)}",
        f"  N x H x W      largest difference   labels that differ     (tolerance {report.tolerance:g})",
    ]
    for tick in report.ticks:
        difference = "labels alone" if report.scores.is_labels else f"{tick.relative_difference:.1e}"
        lines.append(f"✓ {shape_text(tick.shape):14} {difference:>18}   {tick.labels_differing:18d}")
    size = f"{report.weights_bytes / 1e6:.1f} MB of weights"
    written = f"{report.path}" + (f" and {report.data_path.name}" if report.data_path else "")
    lines.append(f"sides of images: {_sizes(report)}")
    lines.append(f"{report.card.model} network, {report.card.num_classes} classes, {report.nodes} nodes, {size}")
    lines += [] if report.card.sizing is None else filter(None, [report.card.sizing.enlarging])
    lines.append(f"wrote {written} in {report.seconds:.1f} s")
    return "\n".join(lines)


def _normalised(report: AdoptReport) -> str:
    card = report.card
    if card.mean == (0.0, 0.0, 0.0) and card.std == (1.0, 1.0, 1.0):
        return f"{card.channel_order} 0..255, normalised by its own nodes or not at all"
    mean, std = (", ".join(f"{value:g}" for value in values) for values in (card.mean, card.std))
    return f"{card.channel_order}, less {mean}, by {std}"


def _scores(report: AdoptReport) -> str:
    scores, meaning = report.scores, report.meaning
    smaller = f", resized {scores.scale} times to the image" if scores.scale > 1 else ""
    smaller = ", resized to the image" if report.card.network_size else smaller
    if scores.is_labels:
        return f"labels {scores.dtype}{smaller}"
    last = f" ({meaning.activation} left out: it changes no label)" if meaning.activation else ""
    if scores.classes == 1:
        kind = "probability" if meaning.probabilities or meaning.activation else "logit"
        return f"one {kind}{last}; a pixel is '{report.card.classes[1]}' above {meaning.threshold:g}{smaller}"
    return f"scores of {scores.classes} classes{last}{smaller}"


def _sizes(report: AdoptReport) -> str:
    if report.card.network_size:
        rounded = f", sides rounded to multiples of {report.card.divisor}" if report.card.divisor > 1 else ""
        return f"any; the network computes at {report.card.network_size}{rounded}"
    if report.divisor is None:
        return f"{report.size[1]}x{report.size[2]} alone"
    return "any" if report.divisor == 1 else f"multiples of {report.divisor}"
