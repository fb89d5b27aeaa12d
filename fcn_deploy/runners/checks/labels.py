"""Check what a runner gives: labels of the image's size, each of them a class, of scores that are numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.card import ModelCard
from fcn_deploy.errors import RunnerError, ScoreError
from fcn_deploy.vocabulary import CONFIDENCE, LABELS, LOGITS, PROBABILITIES, Shape, shape_text


def require_sound_outputs(name: str, outputs: dict[str, Any], image: Shape, card: ModelCard | None) -> dict[str, Any]:
    """Return the outputs of the runner `name` for an image batch of (N, H, W).

    Raises:
        RunnerError: its labels have another size.
        ScoreError: its scores are no numbers, or its confidence is not of numbers.
    """
    for output, values in outputs.items():
        if isinstance(values, np.ndarray) and not _is_of_numbers(output, values):
            raise no_numbers(name, image)
    labels = outputs.get(LABELS)
    if labels is None or tuple(labels.shape) == image:
        return outputs
    found, expected = shape_text(labels.shape), shape_text(image)
    cause = size_trouble(image, None, card) or "`fcn-deploy adopt` writes a file that fits"
    raise RunnerError(f"{name} gives labels {found} for images {expected}; {cause}")


def size_trouble(image: Shape, own: Sequence[object] | None, card: ModelCard | None) -> str:
    """Return why an image batch of (N, H, W) does not fit the model; "" if it does as far as is known.

    Args:
        own: the dims that the file fixes, where the image has others.
    """
    if own is not None:
        return f"the file takes {list(own)} alone, not {shape_text(image)}"
    divisor = 1 if card is None else card.image_divisor
    if any(side % divisor for side in image[1:]):
        return f"the model takes sides that are multiples of {divisor}, not {shape_text(image[1:])}"
    return ""


def check_labels(name: str, labels: NDArray[Any], num_classes: int) -> None:
    """Raise RunnerError if the runner `name` returned a label that is not a class."""
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest >= num_classes:
        outside = lowest if lowest < 0 else highest
        raise RunnerError(f"{name} gives label {outside}, but there are {num_classes} classes")


def no_numbers(name: str, image: Shape) -> ScoreError:
    """Return the error of a runner whose scores are NaN or infinite for an image batch of (N, H, W)."""
    return ScoreError(
        f"{name} gives scores that are NaN or infinite for an image of {shape_text(image[1:])}, so its labels mean "
        "nothing; expected numbers: of FP16, which ends at 65504, use the FP32 or BF16 file, else a sound checkpoint"
    )


def _is_of_numbers(output: str, values: NDArray[Any]) -> bool:
    """Return whether an output shows no NaN: its confidence is 0, and that of the largest of C numbers 255 / C."""
    if output in (LOGITS, PROBABILITIES):
        return bool(np.isfinite(values).all())
    return output != CONFIDENCE or bool(values.all())
