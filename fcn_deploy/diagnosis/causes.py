"""Explain why a layer's result differs: its weights in both networks, and the ranges that images showed."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from fcn_deploy.diagnosis.compared_layers import FED, ComparedLayer
from fcn_deploy.diagnosis.constants import Normalisation, Parameters, Values, parameters, quantised_range
from fcn_deploy.diagnosis.tensor_error import TensorError
from fcn_deploy.quantization.rewrites.half_type import LARGEST_HALF

# Shares of the range seen below and above which 8 bits clip or waste more than a calibration would choose.
NARROW, WIDE = 0.5, 4.0
ORDERS: dict[tuple[int, ...], str] = {(0, 1, 2): "RGB", (2, 1, 0): "BGR"}
_MEAN_OFF, _STD_OFF = 0.01, 1e-3  # in units of 0..255, and as a share


def normalisation_causes(before: Normalisation | None, after: Normalisation | None) -> list[str]:
    """Return what differs between two normalisations, in words."""
    if before is None or after is None:
        return []
    causes = []
    if before.order != after.order:
        causes.append(f"its channels are {_order(after)}, before they were {_order(before)}")
    if np.abs(after.mean - before.mean).max() > _MEAN_OFF:
        causes.append(f"it subtracts the mean {_triple(after.mean)}, before it was {_triple(before.mean)}")
    if np.abs(after.std / before.std - 1).max() > _STD_OFF:
        causes.append(f"it divides by {_triple(after.std)}, before it was {_triple(before.std)}")
    return causes


def layer_causes(
    layer: ComparedLayer,
    tensor_error: TensorError,
    tensor_errors: Mapping[str, TensorError],
    before: Parameters | None,
    bound: float,
) -> list[str]:
    """Return likely causes of the error of `layer`, the surest first.

    Args:
        tally: of the layer's result; `tensor_errors` of every tensor by name.
        before: the other network's weights of this layer, None if they are not known.
        bound: relative error that is still in order for the layer's precision.
    """
    if tensor_error.shape_differs:
        return ["its result has another shape"]
    causes = _range_causes(layer, tensor_errors)
    worker = next(node for node in layer.nodes if node.name == layer.name)
    after = parameters(worker)
    if before is not None and after is not None:
        causes += weight_causes(before, after, bound)
    if layer.precision == "fp16" and max(-tensor_error.low, tensor_error.high) > LARGEST_HALF:
        causes.append(
            f"its result reaches {max(-tensor_error.low, tensor_error.high):.3g}, FP16 ends at {LARGEST_HALF:.0f}"
        )
    if not causes and tensor_error.residual <= bound and abs(tensor_error.factor - 1) > bound:
        causes.append(f"its result is {tensor_error.factor:.3g} times the one before")
    return causes


def weight_causes(before: Parameters, after: Parameters, bound: float) -> list[str]:
    """Return what is done to the weights and the bias of a layer beyond a relative error of `bound`."""
    if before.weight.shape != after.weight.shape:
        return [f"its weights have the shape {after.weight.shape}, before it was {before.weight.shape}"]
    causes = []
    if _relative(before.weight, after.weight) > bound:
        causes.append(_weight_cause(before.weight, after.weight, bound))
    if _bias_differs(before.bias, after.bias, bound):
        causes.append("its bias is another")
    return causes


def _weight_cause(before: Values, after: Values, bound: float) -> str:
    if before.ndim > 1 and _relative(np.flip(before, 1), after) <= bound:
        return "its weights are in the reverse order of the input channels"
    factor = float((before * after).sum() / (before**2).sum()) if before.any() else math.nan
    if _relative(factor * before, after) <= bound:
        return f"its weights are {factor:.3g} times those before"
    channels = [_relative(old, new) > bound for old, new in zip(before, after, strict=True)]
    if 0 < sum(channels) <= len(channels) // 2:
        first = channels.index(True)
        return f"the weights of {sum(channels)} of its {len(channels)} output channels are others (first: {first})"
    return f"its weights are others: they differ by {_relative(before, after):.0%} (of another training run?)"


def _range_causes(layer: ComparedLayer, tensor_errors: Mapping[str, TensorError]) -> list[str]:
    """Report quantised ranges that cover far less or more than the tensor's values."""
    causes = []
    for node in layer.nodes:
        covered = quantised_range(node) if node.op_type == "QuantizeLinear" else None
        source = _source(node)
        # A pair at the layer's end is known by its result.
        seen = tensor_errors[source if source in tensor_errors else layer.tensor]
        if covered is None:
            continue
        share = coverage(covered, (seen.low, seen.high))
        if share < NARROW or share > WIDE:
            what = f"input {source}" if source in tensor_errors else "result"
            part = f"{100 * share:.0f} % of" if share < 1 else f"{share:.0f} times"
            causes.append(
                f"the scale of its {what} covers {part} the range seen "
                f"({covered[0]:.3g} to {covered[1]:.3g}; seen {seen.low:.3g} to {seen.high:.3g})"
            )
    return causes


def coverage(covered: tuple[float, float], seen: tuple[float, float]) -> float:
    """Return share of the range seen that is covered, on the side where it is less; inf where only 0 was seen."""
    below = covered[0] / seen[0] if seen[0] < 0 else math.inf
    above = covered[1] / seen[1] if seen[1] > 0 else math.inf
    return min(below, above)


def _source(node: ir.Node) -> str:
    """Return the tensor that a QuantizeLinear reads, past casts and fed inputs."""
    value = node.inputs[0]
    while value is not None and (producer := value.producer()) is not None and producer.op_type == "Cast":
        value = producer.inputs[0]
    return "" if value is None else str(value.name).removeprefix(FED)


def _bias_differs(before: Values | None, after: Values | None, bound: float) -> bool:
    if before is None or after is None:
        present = before if after is None else after
        return present is not None and bool(present.any())
    return before.shape != after.shape or _relative(before, after) > bound


def _relative(before: Values, after: Values) -> float:
    norm = float(np.linalg.norm(before))
    difference = float(np.linalg.norm(after - before))
    return difference / norm if norm else (math.inf if difference else 0.0)


def _order(of: Normalisation) -> str:
    return ORDERS.get(of.order, f"in the order {of.order}")


def _triple(values: Values) -> str:
    return ", ".join(f"{value:.4g}" for value in values)
