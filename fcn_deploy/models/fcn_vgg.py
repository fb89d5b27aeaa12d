"""FCN-32s, FCN-16s and FCN-8s on VGG-16, for any H, W >= 1.

"Fully Convolutional Networks for Semantic Segmentation", Long, Shelhamer, Darrell, CVPR 2015 (arXiv 1411.4038).
Pools round up, so every stage has at least one row and the coarse scores always cover the finer ones; sums and the
output are cropped to the finer size. Where 32 divides both sides nothing is cropped.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from fcn_deploy.models.layers import Crop, Fuse, init_convolutions, init_scores, scaled, upsample
from fcn_deploy.vocabulary import HEADS, Head, Upsampling

STAGES = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))  # convolutions and channels of VGG-16's stages
FC_CHANNELS = 4096


class VGGStage(nn.Sequential):
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
            self.add_module(f"stage{index}", VGGStage(in_channels, scaled(channels, width), convolutions))
            in_channels = scaled(channels, width)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        outputs = []
        for stage in self.children():
            x = stage(x)
            outputs.append(x)
        return outputs[2], outputs[3], outputs[4]


class FCN(nn.Module):
    """What FCN-32s, 16s and 8s share: backbone, head, skips; a subclass lists its upsamplings, the coarsest first.

    Before the second one the scores of pool4 are added, before the third those of pool3.

    Args:
        num_classes: C, background included.
        width: multiplies every channel count but C and the input's 3.
        head: "fc" for fc6 and fc7 as convolutions (the paper), "pool5" for a 1x1 score straight on pool5.
        upsampling: "bilinear" (the paper) or "random" initial weights of the transposed convolutions.
        learned: whether training changes the transposed convolutions.
        upsample_bias: whether they have a bias.

    Raises:
        ValueError: an option has a value that it cannot have.

    `forward` takes normalised float32[N, 3, H, W] and returns logits float32[N, C, H, W].
    """

    upscores: ClassVar[tuple[tuple[str, int], ...]]  # name and factor

    def __init__(
        self,
        num_classes: int,
        *,
        width: float = 1.0,
        head: Head = "fc",
        upsampling: Upsampling = "bilinear",
        learned: bool = True,
        upsample_bias: bool = False,
    ) -> None:
        super().__init__()
        if head not in HEADS:
            raise ValueError(f"head must be fc or pool5, not {head}")
        self.num_classes, self.width, self.head = num_classes, width, head
        self._upsampling = upsampling, learned, upsample_bias
        self._add_stages()
        channels = scaled(STAGES[4][1], width)
        if head == "fc":
            channels = self._add_fc_layers(channels)
        self.score_fr = nn.Conv2d(channels, num_classes, 1)
        init_convolutions(self)
        init_scores(self.score_fr, std=0.01)
        self._add_skips()

    def _add_stages(self) -> None:
        self.backbone = VGG16(self.width)

    def _add_fc_layers(self, channels: int, padding: int = 3) -> int:
        hidden = scaled(FC_CHANNELS, self.width)
        self.fc6 = nn.Conv2d(channels, hidden, 7, padding=padding)
        self.relu6 = nn.ReLU(inplace=True)
        self.drop6 = nn.Dropout()
        self.fc7 = nn.Conv2d(hidden, hidden, 1)
        self.relu7 = nn.ReLU(inplace=True)
        self.drop7 = nn.Dropout()
        return hidden

    def _add_skips(self) -> None:
        for stage in range(6 - len(self.upscores), 5):
            self._add_score(stage)
        for index, (name, factor) in enumerate(self.upscores):
            if index:
                self.add_module(f"fuse_pool{5 - index}", Fuse())
            self._add_upscore(name, factor, padding=factor // 2)
        self.crop = Crop()

    def _add_score(self, stage: int) -> None:
        """Add a 1x1 score on a pool, started at zero so that a finer net starts as the coarser one (the paper)."""
        score = nn.Conv2d(scaled(STAGES[stage - 1][1], self.width), self.num_classes, 1)
        init_scores(score, std=0)
        self.add_module(f"score_pool{stage}", score)

    def _add_upscore(self, name: str, factor: int, padding: int) -> None:
        init, learned, bias = self._upsampling
        layer = upsample(self.num_classes, factor, padding=padding, init=init, learned=learned, bias=bias)
        self.add_module(name, layer)

    def coarse_scores(self, pool5: Tensor) -> Tensor:
        """Return float32[N, C', h, w] of pool5 -> float32[N, C, h, w]."""
        if self.head == "fc":
            pool5 = self.drop6(self.relu6(self.fc6(pool5)))
            pool5 = self.drop7(self.relu7(self.fc7(pool5)))
        scores: Tensor = self.score_fr(pool5)
        return scores

    def _pools(self, x: Tensor) -> dict[int, Tensor]:
        return dict(zip((3, 4, 5), self.backbone(x), strict=True))

    def _fuse(self, stage: int, coarse: Tensor, pool: Tensor) -> Tensor:
        fused: Tensor = self.get_submodule(f"fuse_pool{stage}")(coarse, self.get_submodule(f"score_pool{stage}")(pool))
        return fused

    def forward(self, x: Tensor) -> Tensor:
        pools = self._pools(x)
        scores = self.coarse_scores(pools[5])
        for index, (name, _) in enumerate(self.upscores):
            if index:
                scores = self._fuse(5 - index, scores, pools[5 - index])
            scores = self.get_submodule(name)(scores)
        logits: Tensor = self.crop(scores, x)
        return logits


class FCN32s(FCN):
    """Scores at stride 32, upsampled x32 at once."""

    upscores = (("upscore32", 32),)


class FCN16s(FCN):
    """One skip: stride-32 scores x2, plus scores of pool4, x16."""

    upscores = (("upscore2", 2), ("upscore16", 16))


class FCN8s(FCN):
    """Two skips: x2, plus pool4, x2, plus pool3, x8."""

    upscores = (("upscore2", 2), ("upscore_pool4", 2), ("upscore8", 8))
