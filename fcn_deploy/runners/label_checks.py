"""Check what a runner gives: labels of the image's size, each of them a class."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from fcn_deploy.card import ModelCard
from fcn_deploy.errors import RunnerError
from fcn_deploy.vocabulary import LABELS, Shape, shape_text


def require_size_of_image(name: str, outputs: dict[str, Any], image: Shape, card: ModelCard | None) -> dict[str, Any]:
    """Return the outputs of the runner `name` for an image batch of (N, H, W).

    Raises:
        RunnerError: its labels have another size.
    """
    labels = outputs.get(LABELS)
    if labels is None or tuple(labels.shape) == image:
        return outputs
    found, expected = shape_text(labels.shape), shape_text(image)
    if card is not None and card.divisor > 1:
        raise RunnerError(
            f"{name} gives labels {found} for images {expected}: the model takes sides that are multiples of "
            f"{card.divisor}"
        )
    raise RunnerError(f"{name} gives labels {found} for images {expected}; `fcn-deploy adopt` writes a file that fits")


def check_labels(name: str, labels: NDArray[Any], num_classes: int) -> None:
    """RunnerError if the runner `name` gave a label that is none of the classes."""
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest >= num_classes:
        outside = lowest if lowest < 0 else highest
        raise RunnerError(f"{name} gives label {outside}, but there are {num_classes} classes")
