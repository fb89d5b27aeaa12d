"""DeepLabV3 on a dilated ResNet-50 or ResNet-101, with torchvision's module names, for any H, W >= 1.

"Rethinking Atrous Convolution for Semantic Image Segmentation", Chen et al. 2017 (arXiv 1706.05587): five branches of
the last feature map (1x1, three dilated 3x3, the mean of all positions), joined by a 1x1. The mean makes each label
depend on the whole image.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fcn_deploy.models.fcn_resnet import FCNResNet, Resize

RATES = (12, 24, 36)  # dilation of the 3x3 branches at stride 8


class _Branch(nn.Sequential):
    def __init__(self, in_channels: int, channels: int, rate: int) -> None:
        kernel, padding = (3, rate) if rate else (1, 0)
        super().__init__(
            nn.Conv2d(in_channels, channels, kernel, padding=padding, dilation=rate or 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )


class _MeanBranch(nn.Sequential):
    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(in_channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )
        self.resize = Resize()

    def forward(self, x: Tensor) -> Tensor:
        mean = x
        for index in range(4):
            mean = self[index](mean)
        resized: Tensor = self.resize(mean, x)
        return resized


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling: float32[N, C, h, w] -> float32[N, C', h, w]."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        branches = (_Branch(in_channels, channels, rate) for rate in (0, *RATES))
        self.convs = nn.ModuleList([*branches, _MeanBranch(in_channels, channels)])
        self.project = nn.Sequential(
            nn.Conv2d(len(self.convs) * channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Dropout(0.5),
        )

    def forward(self, x: Tensor) -> Tensor:
        joined: Tensor = self.project(torch.cat([branch(x) for branch in self.convs], dim=1))
        return joined


class DeepLabHead(nn.Sequential):
    """ASPP to an eighth of the channels, 3x3 convolution, batch norm, ReLU, 1x1 score."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        hidden = in_channels // 8
        super().__init__(
            ASPP(in_channels, hidden),
            nn.Conv2d(hidden, hidden, 3, padding=1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, num_classes, 1),
        )


class DeepLabV3(FCNResNet):
    """`FCNResNet` with DeepLab's head; arguments, inputs and outputs are the same."""

    def _head(self, in_channels: int, num_classes: int) -> nn.Sequential:
        return DeepLabHead(in_channels, num_classes)


def deeplabv3_resnet50(num_classes: int, *, aux: bool = True, width: float = 1.0) -> DeepLabV3:
    """DeepLabV3-ResNet-50: 42,004,074 parameters for 21 classes with the auxiliary head."""
    return DeepLabV3(num_classes, blocks=(3, 4, 6, 3), aux=aux, width=width)


def deeplabv3_resnet101(num_classes: int, *, aux: bool = True, width: float = 1.0) -> DeepLabV3:
    """DeepLabV3-ResNet-101: 60,996,202 parameters for 21 classes with the auxiliary head."""
    return DeepLabV3(num_classes, blocks=(3, 4, 23, 3), aux=aux, width=width)
