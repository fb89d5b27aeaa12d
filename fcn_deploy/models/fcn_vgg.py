"""FCN-32s, FCN-16s and FCN-8s on VGG-16, for any H, W >= 1.

"Fully Convolutional Networks for Semantic Segmentation", Long, Shelhamer, Darrell, CVPR 2015 (arXiv 1411.4038).
Pools round up, so every stage has at least one row and the coarse scores always cover the finer ones; sums and the
output are cropped to the finer size. Where 32 divides both sides nothing is cropped.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from .upsampling import upsample

Head = Literal["fc", "pool5"]
STAGES = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))  # convolutions and channels of VGG-16's stages
FC_CHANNELS = 4096


def scaled(channels: int, width: float) -> int:
    """`channels` times `width`, rounded to a multiple of 8 and at least 8."""
    return max(8, 8 * round(channels * width / 8))


class Stage(nn.Sequential):
    """3x3 convolutions with ReLU, then a 2x2 pool that rounds up: [N, C, H, W] -> [N, C', ceil(H/2), ceil(W/2)]."""

    def __init__(self, in_channels: int, out_channels: int, convolutions: int) -> None:
        super().__init__()
        for index in range(1, convolutions + 1):
            self.add_module(f"conv{index}", nn.Conv2d(in_channels, out_channels, 3, padding=1))
            self.add_module(f"relu{index}", nn.ReLU(inplace=True))
            in_channels = out_channels
        self.add_module("pool", nn.MaxPool2d(2, 2, ceil_mode=True))


class VGG16(nn.Module):
    """The five stages of VGG-16; returns the outputs of pool3, pool4 and pool5."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        in_channels = 3
        for index, (convolutions, channels) in enumerate(STAGES, start=1):
            self.add_module(f"stage{index}", Stage(in_channels, scaled(channels, width), convolutions))
            in_channels = scaled(channels, width)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        outputs = []
        for stage in self.children():
            x = stage(x)
            outputs.append(x)
        return outputs[2], outputs[3], outputs[4]


class Crop(nn.Module):
    """Cut `x` [N, C, >=H, >=W] to the rows and columns that `like` has, from the top left."""

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        return x[..., : like.shape[-2], : like.shape[-1]]


class Fuse(nn.Module):
    """Sum of coarse scores, cropped, and the finer scores of a skip."""

    def forward(self, coarse: Tensor, skip: Tensor) -> Tensor:
        return coarse[..., : skip.shape[-2], : skip.shape[-1]] + skip


class FCN(nn.Module):
    """What FCN-32s, 16s and 8s share: backbone, head and coarse scores.

    Args:
        num_classes: C, background included.
        width: multiplies every channel count but C and the input's 3.
        head: "fc" for fc6 and fc7 as convolutions (the paper), "pool5" for a 1x1 score straight on pool5.
        upsampling: "bilinear" (the paper) or "random" initial weights of the transposed convolutions.
        learned: whether training changes the transposed convolutions.
        upsample_bias: whether they have a bias.

    `forward` takes normalised float32[N, 3, H, W] and returns logits float32[N, C, H, W].
    """

    def __init__(
        self,
        num_classes: int,
        *,
        width: float = 1.0,
        head: Head = "fc",
        upsampling: Literal["bilinear", "random"] = "bilinear",
        learned: bool = True,
        upsample_bias: bool = False,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self._upsampling = {"init": upsampling, "learned": learned, "bias": upsample_bias}
        self.backbone = VGG16(width)
        channels = scaled(STAGES[4][1], width)
        if head == "fc":
            hidden = scaled(FC_CHANNELS, width)
            self.fc6 = nn.Conv2d(channels, hidden, 7, padding=3)
            self.relu6 = nn.ReLU(inplace=True)
            self.drop6 = nn.Dropout()
            self.fc7 = nn.Conv2d(hidden, hidden, 1)
            self.relu7 = nn.ReLU(inplace=True)
            self.drop7 = nn.Dropout()
            channels = hidden
        self.head = head
        self.score_fr = nn.Conv2d(channels, num_classes, 1)
        self._init_convolutions()

    def _init_convolutions(self) -> None:
        """He et al. 2015 for layers before a ReLU, N(0, 0.01) for the scores, zero for every bias."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        nn.init.normal_(self.score_fr.weight, std=0.01)

    def _up(self, factor: int) -> nn.ConvTranspose2d:
        return upsample(self.num_classes, factor, padding=factor // 2, **self._upsampling)  # type: ignore[arg-type]

    def _skip(self, stage: int, width: float) -> nn.Conv2d:
        """A 1x1 score on a pool, started at zero so that a finer net begins as the coarser one (the paper)."""
        layer = nn.Conv2d(scaled(STAGES[stage - 1][1], width), self.num_classes, 1)
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        return layer

    def coarse_scores(self, pool5: Tensor) -> Tensor:
        if self.head == "fc":
            pool5 = self.drop6(self.relu6(self.fc6(pool5)))
            pool5 = self.drop7(self.relu7(self.fc7(pool5)))
        scores: Tensor = self.score_fr(pool5)
        return scores


class FCN32s(FCN):
    """Scores at stride 32, upsampled x32 at once."""

    def __init__(self, num_classes: int, **options: object) -> None:
        super().__init__(num_classes, **options)  # type: ignore[arg-type]
        self.upscore32 = self._up(32)
        self.crop = Crop()

    def forward(self, x: Tensor) -> Tensor:
        _, _, pool5 = self.backbone(x)
        logits: Tensor = self.crop(self.upscore32(self.coarse_scores(pool5)), x)
        return logits


class FCN16s(FCN):
    """One skip: stride-32 scores x2, plus scores of pool4, x16."""

    def __init__(self, num_classes: int, **options: object) -> None:
        super().__init__(num_classes, **options)  # type: ignore[arg-type]
        self.score_pool4 = self._skip(4, float(options.get("width", 1.0)))  # type: ignore[arg-type]
        self.upscore2 = self._up(2)
        self.fuse_pool4 = Fuse()
        self.upscore16 = self._up(16)
        self.crop = Crop()

    def forward(self, x: Tensor) -> Tensor:
        _, pool4, pool5 = self.backbone(x)
        fused = self.fuse_pool4(self.upscore2(self.coarse_scores(pool5)), self.score_pool4(pool4))
        logits: Tensor = self.crop(self.upscore16(fused), x)
        return logits


class FCN8s(FCN):
    """Two skips: x2, plus pool4, x2, plus pool3, x8."""

    def __init__(self, num_classes: int, **options: object) -> None:
        super().__init__(num_classes, **options)  # type: ignore[arg-type]
        width = float(options.get("width", 1.0))  # type: ignore[arg-type]
        self.score_pool3 = self._skip(3, width)
        self.score_pool4 = self._skip(4, width)
        self.upscore2 = self._up(2)
        self.fuse_pool4 = Fuse()
        self.upscore_pool4 = self._up(2)
        self.fuse_pool3 = Fuse()
        self.upscore8 = self._up(8)
        self.crop = Crop()

    def forward(self, x: Tensor) -> Tensor:
        pool3, pool4, pool5 = self.backbone(x)
        fused = self.fuse_pool4(self.upscore2(self.coarse_scores(pool5)), self.score_pool4(pool4))
        fused = self.fuse_pool3(self.upscore_pool4(fused), self.score_pool3(pool3))
        logits: Tensor = self.crop(self.upscore8(fused), x)
        return logits


def count_parameters(model: torch.nn.Module) -> int:
    """Learned and fixed parameters, buffers apart."""
    return sum(parameter.numel() for parameter in model.parameters())
