"""FCN on a dilated ResNet-50 or ResNet-101, with torchvision's module names, for any H, W >= 1.

"Deep Residual Learning for Image Recognition", He et al., CVPR 2016. As in torchvision, a block's stride is on its
3x3 convolution, and layers 3 and 4 trade their stride for dilation, so the scores have stride 8.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from fcn_deploy.models.layers import init_convolutions, scaled

EXPANSION = 4  # a bottleneck's output channels over its inner ones
# inner channels, stride, dilation of layer1 ... layer4
LAYERS = ((64, 1, 1), (128, 2, 1), (256, 1, 2), (512, 1, 4))


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions with batch norm, added to a shortcut, itself a 1x1 convolution where `project`."""

    def __init__(self, in_channels: int, channels: int, stride: int, dilation: int, project: bool) -> None:
        super().__init__()
        out_channels = channels * EXPANSION
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if project:
            shortcut = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        summed: Tensor = self.relu(out + shortcut)
        return summed


def _layer(in_channels: int, channels: int, blocks: int, stride: int, dilation: int) -> nn.Sequential:
    """Return a row of bottlenecks; the first has half the dilation, as the layer before it ended there."""
    first = Bottleneck(in_channels, channels, stride, max(1, dilation // 2), project=True)
    rest = (Bottleneck(channels * EXPANSION, channels, 1, dilation, project=False) for _ in range(blocks - 1))
    return nn.Sequential(first, *rest)


class ResNet(nn.Module):
    """Stem and four layers; returns the outputs of layer3 and layer4, both at stride 8."""

    layer1: nn.Sequential
    layer2: nn.Sequential
    layer3: nn.Sequential
    layer4: nn.Sequential

    def __init__(self, blocks: tuple[int, int, int, int], width: float) -> None:
        super().__init__()
        in_channels = scaled(64, width)
        self.conv1 = nn.Conv2d(3, in_channels, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        for index, (base, stride, dilation) in enumerate(LAYERS):
            channels = scaled(base, width)
            self.add_module(f"layer{index + 1}", _layer(in_channels, channels, blocks[index], stride, dilation))
            in_channels = channels * EXPANSION

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        layer3 = self.layer3(self.layer2(self.layer1(x)))
        return layer3, self.layer4(layer3)


class FCNHead(nn.Sequential):
    """3x3 convolution to a quarter of the channels, batch norm, ReLU, dropout, 1x1 score."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        hidden = in_channels // 4
        super().__init__(
            nn.Conv2d(in_channels, hidden, 3, padding=1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Conv2d(hidden, num_classes, 1),
        )


class Resize(nn.Module):
    """Bilinear interpolation to the rows and columns of `like`, pixel centres aligned by half."""

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


class FCNResNet(nn.Module):
    """Dilated ResNet, FCN head, bilinear upsampling to the input's size.

    Args:
        num_classes: C, background included.
        blocks: bottlenecks in each of the four layers.
        aux: whether there is a second head on layer3, which only training uses.
        width: multiplies every channel count but C and the input's 3.

    `forward` takes normalised float32[N, 3, H, W] and returns logits float32[N, C, H, W].
    """

    def __init__(
        self, num_classes: int, *, blocks: tuple[int, int, int, int], aux: bool = True, width: float = 1.0
    ) -> None:
        super().__init__()
        self.backbone = ResNet(blocks, width)
        layer3, layer4 = (scaled(base, width) * EXPANSION for base, _, _ in LAYERS[2:])
        self.classifier = self._head(layer4, num_classes)
        self.aux_classifier = FCNHead(layer3, num_classes) if aux else None
        self.resize = Resize()
        init_convolutions(self)

    def _head(self, in_channels: int, num_classes: int) -> nn.Sequential:
        return FCNHead(in_channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        _, layer4 = self.backbone(x)
        logits: Tensor = self.resize(self.classifier(layer4), x)
        return logits

    def forward_with_aux(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return logits and the auxiliary head's logits, each float32[N, C, H, W]; None without that head."""
        layer3, layer4 = self.backbone(x)
        logits = self.resize(self.classifier(layer4), x)
        return logits, None if self.aux_classifier is None else self.resize(self.aux_classifier(layer3), x)


def fcn_resnet50(num_classes: int, *, aux: bool = True, width: float = 1.0) -> FCNResNet:
    """FCN-ResNet-50: 35,322,218 parameters for 21 classes with the auxiliary head."""
    return FCNResNet(num_classes, blocks=(3, 4, 6, 3), aux=aux, width=width)


def fcn_resnet101(num_classes: int, *, aux: bool = True, width: float = 1.0) -> FCNResNet:
    """FCN-ResNet-101: 54,314,346 parameters for 21 classes with the auxiliary head."""
    return FCNResNet(num_classes, blocks=(3, 4, 23, 3), aux=aux, width=width)
