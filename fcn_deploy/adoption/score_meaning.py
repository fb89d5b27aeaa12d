"""Tell logits from probabilities, by the nodes that make them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import onnx_ir as ir

from fcn_deploy.adoption.score_port import ScorePort
from fcn_deploy.graph.nodes import producer

# Over the classes, they do not change which is largest, and FP16 and INT8 are more exact without them.
LEFT_OUT = ("Softmax", "LogSoftmax", "Sigmoid")
# What gives numbers in 0..1, and what hands them on.
GIVE_PROBABILITIES = ("Sigmoid", "HardSigmoid", "Softmax", "Clip")
HAND_ON = ("Resize", "Upsample", "Cast", "Identity", "Transpose", "Squeeze", "Unsqueeze", "Reshape", "Slice", "Gather")


@dataclass(frozen=True)
class ScoreMeaning:
    """What the scores of a foreign graph are, and the threshold of one class.

    Attributes:
        activation: the last node, which is left out because it does not change which class is largest; "" for none.
        kept: the last node, if it gives probabilities of several classes and stays, as they are resized; "" for none.
        probabilities: whether one channel holds probabilities that stay as they are.
        threshold: probability above which a pixel of a network with one channel belongs to its class.
    """

    activation: str = ""
    kept: str = ""
    probabilities: bool = False
    threshold: float = 0.5

    @property
    def edge(self) -> float:
        """The threshold in units of the scores that remain."""
        return self.threshold if self.probabilities else math.log(self.threshold / (1 - self.threshold))


def score_meaning(model: ir.Model, score: ScorePort, threshold: float, *, resized: bool) -> ScoreMeaning:
    """Read what makes the scores; those of one channel are logits unless a node that gives probabilities is behind.

    Args:
        resized: whether they are resized afterwards: of logits that would be another result.
    """
    node = next(value for value in model.graph.outputs if value.name == score.name).producer()
    if score.is_labels or node is None:
        return ScoreMeaning(threshold=threshold)
    last = node.op_type if node.op_type in LEFT_OUT and _over_classes(node, score) else ""
    if last and not resized:
        return ScoreMeaning(last, threshold=threshold)
    if last and score.classes != 1:
        return ScoreMeaning(kept=last, threshold=threshold)
    while node is not None and node.op_type in HAND_ON:
        node = producer(node)
    given = score.classes == 1 and node is not None and node.op_type in GIVE_PROBABILITIES
    return ScoreMeaning(probabilities=given, threshold=threshold)


def _over_classes(node: ir.Node, score: ScorePort) -> bool:
    """Return whether the node takes each class against the others, or each score alone."""
    if node.op_type == "Sigmoid":
        return True
    return score.rank == 4 and node.attributes.get_int("axis", -1) % score.rank == score.axes[1]
