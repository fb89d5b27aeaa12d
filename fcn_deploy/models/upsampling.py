"""Transposed convolution as upsampling: O = S (I - 1) + K - 2P; with K = 2S and P = S / 2 that is S I."""

from __future__ import annotations

import torch
from torch import nn

from fcn_deploy.models.layers import zero_bias

INITS = ("bilinear", "random")


def bilinear_kernel(channels: int, kernel_size: int) -> torch.Tensor:
    """Return weights that make a transposed convolution interpolate bilinearly, each channel to itself.

    float32[channels, channels, K, K], (in, out, kH, kW) as PyTorch lays them out. Source: `surgery.py` of the
    authors' release: 1 - |i - centre| / factor, factor = ceil(K / 2), in both directions.
    """
    factor = (kernel_size + 1) // 2
    centre = factor - 1 if kernel_size % 2 == 1 else factor - 0.5
    ramp = 1 - (torch.arange(kernel_size, dtype=torch.float64) - centre).abs() / factor
    weight = torch.zeros(channels, channels, kernel_size, kernel_size)
    weight[range(channels), range(channels)] = torch.outer(ramp, ramp).float()
    return weight


def upsample(
    channels: int, factor: int, *, padding: int, init: str = "bilinear", learned: bool = True, bias: bool = False
) -> nn.ConvTranspose2d:
    """Return a x`factor` transposed convolution of kernel 2 x `factor`.

    Args:
        init: "bilinear" (the paper), or "random" for PyTorch's own initial weights.
        learned: whether training changes the weights.

    Raises:
        ValueError: another `init`.
    """
    if init not in INITS:
        raise ValueError(f"upsampling must be one of {', '.join(INITS)}, not {init}")
    layer = nn.ConvTranspose2d(channels, channels, 2 * factor, stride=factor, padding=padding, bias=bias)
    if init == "bilinear" and not layer.weight.is_meta:
        with torch.no_grad():
            layer.weight.copy_(bilinear_kernel(channels, 2 * factor))
    zero_bias(layer)
    layer.weight.requires_grad_(learned)
    return layer
