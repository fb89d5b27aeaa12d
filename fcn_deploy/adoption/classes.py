"""Count and name the classes of a foreign graph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx_ir as ir

from fcn_deploy.adoption.score_port import ScorePort
from fcn_deploy.card import CLASSES_NOTE, GUESSED, class_names, numbered_classes
from fcn_deploy.errors import GraphError
from fcn_deploy.graph.nodes import producer
from fcn_deploy.graph.sizes import ImageSize, tensor_sizes
from fcn_deploy.vocabulary import Shape

BACKGROUND = "background"
_PASSED = ("Cast", "Squeeze", "Unsqueeze", "Identity", "Reshape", "Transpose", "Resize")


def card_classes(
    path: Path, model: ir.Model, score: ScorePort, given: Sequence[str] | None, size: Shape
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return class names and the notes that belong to them; the network takes images of `size` (N, H, W).

    Raises:
        GraphError: more or fewer names than classes, or labels of an unknown number of classes.
        RecipeError: a name is empty or given twice.
    """
    count = 2 if score.is_binary else score.classes or _classes_of_labels(model, score, size)
    if given is None:
        if count is None:
            raise GraphError(f"{path} gives labels and does not show of how many classes; name them (--classes)")
        names = (BACKGROUND, "foreground") if score.is_binary else numbered_classes(count)
        return names, {CLASSES_NOTE: GUESSED}
    names = class_names(given)
    if score.is_binary and len(names) == 1:
        names = class_names((BACKGROUND, *names))
    if count is not None and len(names) != count:
        what = "one channel, which is background and one class" if score.is_binary else f"{count} classes"
        raise GraphError(f"{path} has {what}, and --classes names {len(given)}; name each, in the order of the labels")
    return names, {}


def _classes_of_labels(model: ir.Model, score: ScorePort, size: Shape) -> int | None:
    """Return the channels that the ArgMax behind the labels chooses from; None if there is none."""
    value = next(out for out in model.graph.outputs if out.name == score.name)
    node = value.producer()
    while node is not None and node.op_type in _PASSED:
        node = producer(node)
    if node is None or node.op_type != "ArgMax" or node.inputs[0] is None:
        return None
    shape = tensor_sizes(model, ImageSize(*size))[str(node.inputs[0].name)].shape
    return None if shape is None else shape[node.attributes.get_int("axis", 0)]
