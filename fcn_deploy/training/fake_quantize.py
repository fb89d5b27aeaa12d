"""Let the convolutions of a PyTorch network compute with 8-bit values, as its INT8 file will.

Fake quantisation with the straight-through estimator (Jacob et al., "Quantization and Training of Neural Networks for
Efficient Integer-Arithmetic-Only Inference", CVPR 2018, section 3; Bengio et al., arXiv 1308.3432): forward, a value is
rounded to its 8-bit code and back; backward, the gradient passes unchanged, and is 0 where the value was clipped.

The codes are those of `quantization.rewrites.qdq`: activations per tensor with the scale of the calibration, weights
per output channel with the scale of their largest value, which follows them step by step. A batch norm that the rewrite
folds into the weights multiplies whole output channels, which changes no code.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from fcn_deploy.errors import TrainingError
from fcn_deploy.quantization.plan import PlannedLayer
from fcn_deploy.quantization.rewrites.qdq import scale_and_zero_point
from fcn_deploy.vocabulary import Target

# QuantizeLinear's ends: signed for TensorRT, unsigned for CPUs.
CODES: dict[Target, tuple[int, int]] = {"tensorrt": (-128, 127), "cpu": (0, 255)}
LARGEST_WEIGHT_CODE = 127
SETTINGS = (
    "in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode",
)  # fmt: skip


class FakeQuantConv2d(nn.Conv2d):
    """A convolution that shares the parameters of another one and reads 8-bit values.

    Its state dict has the other one's keys and no more.
    """

    input_scale: Tensor
    input_zero_point: Tensor

    def __init__(self, conv: nn.Conv2d, layer: PlannedLayer, target: Target) -> None:
        settings: dict[str, Any] = {name: getattr(conv, name) for name in SETTINGS}
        super().__init__(**settings, bias=conv.bias is not None, device="meta")
        self.weight, self.bias = conv.weight, conv.bias
        scale, zero_point = scale_and_zero_point(layer.low, layer.high, target)
        self.codes, self.quantised_weights, self.quantised_bias = CODES[target], layer.weights, target == "cpu"
        self.register_buffer("input_scale", torch.tensor(float(scale)), persistent=False)
        self.register_buffer("input_zero_point", torch.tensor(int(zero_point), dtype=torch.int32), persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        x = torch.fake_quantize_per_tensor_affine(input.float(), self.input_scale, self.input_zero_point, *self.codes)
        weight, bias = self.weight, self.bias
        if self.quantised_weights:
            scales = weight_scales(weight.detach())
            weight = fake_quantise_weight(weight, scales)
            if bias is not None and self.quantised_bias:
                steps = scales * self.input_scale
                bias = bias + ((bias / steps).round() * steps - bias).detach()
        found: Tensor = self._conv_forward(x, weight, bias)
        return found


def weight_scales(weight: Tensor) -> Tensor:
    """Return float32[M] scales of float32[M, ...]: the largest value of each output channel has the last code."""
    scales = weight.abs().flatten(1).amax(1) / LARGEST_WEIGHT_CODE
    return torch.where(scales > 0, scales, torch.ones_like(scales))


def fake_quantise_weight(weight: Tensor, scales: Tensor) -> Tensor:
    """Round float32[M, ...] to the 8-bit codes of each output channel, and back."""
    zero_points = torch.zeros_like(scales, dtype=torch.int32)
    limits = -LARGEST_WEIGHT_CODE, LARGEST_WEIGHT_CODE
    return torch.fake_quantize_per_channel_affine(weight, scales, zero_points, 0, *limits)


def fake_quantize(network: nn.Module, layers: Iterable[PlannedLayer], target: Target) -> None:
    """Replace the planned convolutions of `network` in place.

    Raises:
        TrainingError: the network has no convolution of that name.
    """
    for layer in layers:
        parent, _, name = layer.name.rpartition(".")
        try:
            conv = network.get_submodule(layer.name)
        except AttributeError:
            conv = None
        if not isinstance(conv, nn.Conv2d):
            raise TrainingError(f"the network has no convolution {layer.name}, which its exported graph has")
        network.get_submodule(parent).register_module(name, FakeQuantConv2d(conv, layer, target))
