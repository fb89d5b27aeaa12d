"""Equalise the channels between layers, so that one large channel does not take the 8 bits of all the others.

Cross-layer equalisation (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV
2019, section 4.1): a layer's output channel i is divided by s_i, and what reads it multiplies its weights by s_i. ReLU,
pooling and whatever else keeps a positive factor may lie between. Here the channels' largest activations are measured,
not estimated from the weights, and each s_i is a power of two: no product or sum is rounded otherwise, so the FP32
graph gives the same bits as before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from fcn_deploy.graph.nodes import constant, only_reader, operand

# f(s * x) = s * f(x) for every channel and s > 0, channel by channel.
HOMOGENEOUS = ("Relu", "LeakyRelu", "MaxPool", "AveragePool", "GlobalAveragePool", "Identity", "Dropout")
# Factors beyond these would leave FP32's normal numbers in a deep network.
LARGEST_EXPONENT = 16
# A weight column this much smaller than its row's largest weight counts as that small: the rest is noise.
SMALLEST_SHARE = 2.0**-16
# What follows the name of a tensor whose channels were divided.
EQUALIZED = "/equalized"


@dataclass(frozen=True)
class ChannelLink:
    """A layer and the layers that alone read its channels.

    Attributes:
        source: the convolution that makes the channels.
        tensors: its result, float[N, C, H, W], and those of the `HOMOGENEOUS` nodes behind it.
        readers: convolutions that read them.
    """

    source: ir.Node
    tensors: tuple[ir.Value, ...]
    readers: tuple[ir.Node, ...]

    @property
    def name(self) -> str:
        """Name of the convolution's result."""
        return str(self.source.outputs[0].name)


@dataclass(frozen=True)
class EqualizedTensor:
    """One tensor that was equalised.

    Attributes:
        name: of the layer that makes it.
        channels: how many got a factor of their own, one other than the median channel's.
        spread: largest over smallest factor.
    """

    name: str
    channels: int
    spread: float


def channel_links(model: ir.Model) -> list[ChannelLink]:
    """Return what can be equalised, in the graph's order.

    A tensor that anything else reads, or that the graph hands out, is not among them, nor are weights that are computed
    or shared.
    """
    found = []
    for node in model.graph:
        if _is_layer(node):
            tensors, readers = _followed(node.outputs[0])
            if readers:
                found.append(ChannelLink(node, tuple(tensors), tuple(readers)))
    return found


def weight_ranges(model: ir.Model) -> dict[str, NDArray[np.float64]]:
    """Return link -> float64[C] largest weight of each channel: without images, the best guess of its activations."""
    found = {}
    for link in channel_links(model):
        weight = np.abs(constant(operand(link.source, 1)).astype(np.float64))
        rows = np.moveaxis(weight, _output_axis(link.source), 0)
        found[link.name] = rows.reshape(rows.shape[0], -1).max(axis=1)
    return found


def spreads(model: ir.Model, largest: Mapping[str, NDArray[np.floating]]) -> dict[str, float]:
    """Return link -> largest over smallest factor that `equalize` would use."""
    return {link.name: _spread(_link_factors(link, largest)) for link in channel_links(model)}


def equalize(
    model: ir.Model, largest: Mapping[str, NDArray[np.floating]], least_spread: float = 2.0
) -> list[EqualizedTensor]:
    """Rewrite the weights and biases of `model` in place.

    A tensor whose numbers change gets a name of its own, so that it is never compared with the one that it was.

    Args:
        largest: tensor -> float[C] largest |x| of each channel on the calibration images, of each link's `name`.
        least_spread: largest over smallest factor from which on a tensor is equalised.
    """
    done = []
    for link in channel_links(model):
        factors = _link_factors(link, largest)
        spread = _spread(factors)
        if spread >= max(least_spread, 2.0):
            done.append(EqualizedTensor(str(link.source.name), int((factors != 1).sum()), spread))
            _scale_link(link, factors)
    return done


def _link_factors(link: ChannelLink, largest: Mapping[str, NDArray[np.floating]]) -> NDArray[np.float64]:
    return _factors(largest[link.name].astype(np.float64), _shares(link.readers))


def _spread(factors: NDArray[np.float64]) -> float:
    return float(factors.max() / factors.min())


def _scale_link(link: ChannelLink, factors: NDArray[np.float64]) -> None:
    _scale(operand(link.source, 1), 1 / factors, _output_axis(link.source))
    _scale(operand(link.source, 2), 1 / factors, 0)
    for reader in link.readers:
        _scale(operand(reader, 1), factors, _input_axis(reader))
    for value in link.tensors:
        value.name = f"{value.name}{EQUALIZED}"


def _factors(largest: NDArray[np.float64], shares: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Return float64[C] powers of two that bring activations and weights to the same relative size.

    Channel i is x_i = `largest` of the tensor's range and w_i = `shares` of the weights' range: sqrt(x_i / w_i) makes
    both x_i / s_i and w_i * s_i equal to sqrt(x_i * w_i). Without `shares` the weights lose nothing and s_i is x_i. A
    channel that is always 0 keeps its factor.
    """
    alive = largest > 0
    if not alive.any():
        return np.ones_like(largest)
    exponents = np.zeros_like(largest)
    exponents[alive] = np.log2(largest[alive])
    if shares is not None:
        exponents[alive] = 0.5 * (exponents[alive] - np.log2(shares[alive]))
    exponents[alive] -= np.median(exponents[alive])
    factors: NDArray[np.float64] = np.exp2(np.clip(np.rint(exponents), -LARGEST_EXPONENT, LARGEST_EXPONENT))
    return factors


def _shares(readers: tuple[ir.Node, ...]) -> NDArray[np.float64] | None:
    """Return float64[C]: each input channel's largest weight as a share of the largest weight of its output channel.

    8 bits are spread over each output channel's weights, so the share is what such a column has of them. None where
    all of `readers` are depthwise, whose weights of one input channel have 8 bits of their own.
    """
    columns = []
    for reader in readers:
        if not _is_depthwise(reader):
            weight = np.abs(constant(reader.inputs[1]).astype(np.float64))
            taps = weight.max(axis=tuple(range(2, weight.ndim)), initial=0.0)
            by_output = np.moveaxis(taps, _output_axis(reader), 0)
            rows = by_output.max(axis=1, keepdims=True)
            columns.append((by_output / np.where(rows > 0, rows, 1.0)).max(axis=0))
    if not columns:
        return None
    shares: NDArray[np.float64] = np.maximum(np.max(columns, axis=0), SMALLEST_SHARE)
    return shares


def _followed(value: ir.Value) -> tuple[list[ir.Value], list[ir.Node]]:
    """Return `value` with the tensors behind it, and the layers that read them; no layer if anything else does."""
    tensors, found = [value], list[ir.Node]()
    for node, position in _value_uses(value):
        if position == 0 and node.op_type in HOMOGENEOUS and node.domain == "" and not _extra_outputs(node):
            further, through = _followed(node.outputs[0])
            tensors += further
        else:
            through = [node] if position == 0 and _is_layer(node) else []
        if not through:
            return tensors, []
        found += through
    return tensors, [] if value.is_graph_output() else found


def _value_uses(value: ir.Value) -> Iterator[tuple[ir.Node, int]]:
    """Yield who reads the numbers of `value`; Shape reads none."""
    for use in value.uses():
        if use.node.op_type != "Shape":
            yield use.node, use.idx


def _extra_outputs(node: ir.Node) -> bool:
    return any(output.uses() or output.is_graph_output() for output in node.outputs[1:])


def _is_layer(node: ir.Node) -> bool:
    """Whether it is a convolution, plain or depthwise, whose weights are stored for it alone."""
    if node.op_type not in ("Conv", "ConvTranspose") or node.domain != "":
        return False
    stored = [operand(node, 1), operand(node, 2)]
    if stored[0] is None or any(v is not None and (v.const_value is None or only_reader(v) is None) for v in stored):
        return False
    return node.attributes.get_int("group", 1) == 1 or _is_depthwise(node)


def _is_depthwise(node: ir.Node) -> bool:
    """Whether channel i of the result depends on channel i of the input alone."""
    shape = constant(node.inputs[1]).shape
    return bool(node.attributes.get_int("group", 1) == shape[0] > 1 and shape[1] == 1)


def _output_axis(node: ir.Node) -> int:
    return 1 if node.op_type == "ConvTranspose" and not _is_depthwise(node) else 0


def _input_axis(node: ir.Node) -> int:
    return 1 if node.op_type == "Conv" and not _is_depthwise(node) else 0


def _scale(value: ir.Value | None, factors: NDArray[np.float64], axis: int) -> None:
    if value is None:
        return
    array = constant(value)
    shaped = factors.reshape([-1 if index == axis else 1 for index in range(array.ndim)])
    value.const_value = ir.tensor((array * shaped).astype(array.dtype), name=value.name)
