"""Define what the networks share: channel counts at a width, crops, sums, upsampling, initial weights.

Crops and sums are modules so that the nodes of an exported graph bear names (`fuse_pool4`, `crop`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fcn_deploy.vocabulary import WIDEST

INITS = ("bilinear", "random")


def scaled(channels: int, width: float) -> int:
    """Return `channels` times `width`, rounded to a multiple of 8 and at least 8.

    Raises:
        ValueError: `width` is not in (0, 16].
    """
    if not 0 < width <= WIDEST:
        raise ValueError(f"width must be above 0 and at most {WIDEST:g}, not {width}")
    return max(8, 8 * round(channels * width / 8))


class Crop(nn.Module):
    """Cut `x` to the rows and columns that `like` has, beginning at `offset`."""

    def __init__(self, offset: int = 0) -> None:
        super().__init__()
        self.offset = offset

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        start, (height, width) = self.offset, like.shape[-2:]
        return x[..., start : start + height, start : start + width]

    def extra_repr(self) -> str:
        return f"offset={self.offset}"


class Fuse(nn.Module):
    """Sum of coarse scores, cropped, and the finer scores of a skip."""

    def forward(self, coarse: Tensor, skip: Tensor) -> Tensor:
        return coarse[..., : skip.shape[-2], : skip.shape[-1]] + skip


class Sum(nn.Module):
    """Sum of two maps of one shape."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a + b


class ScaleLayer(nn.Module):
    """Multiply by a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor

    def extra_repr(self) -> str:
        return f"factor={self.factor}"


def init_convolutions(model: nn.Module) -> None:
    """Start convolutions as He et al. 2015 for layers before a ReLU, biases at zero, batch norms as the identity.

    Nothing is done on the meta device, where there is nothing to fill.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            zero_bias(module)


def init_scores(layer: nn.Conv2d, std: float) -> None:
    """Start a score layer at N(0, `std`), or at zero for `std` 0, with zero bias."""
    if layer.weight.is_meta:
        return
    if std:
        nn.init.normal_(layer.weight, std=std)
    else:
        nn.init.zeros_(layer.weight)
    zero_bias(layer)


def zero_bias(layer: nn.Conv2d | nn.ConvTranspose2d) -> None:
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


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
    """Return a x`factor` transposed convolution: O = S (I - 1) + K - 2P; with K = 2S and P = S / 2 that is S I.

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
