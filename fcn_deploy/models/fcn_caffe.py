"""The authors' released FCN-32s, 16s and 8s as Caffe ran them, for any H, W >= 1.

The input is padded by 100, fc6 is an unpadded 7x7, transposed convolutions are unpadded, and fixed offsets cut the
skips and the output back into place. Modules are named as in the released nets (conv1_1 ... upscore_pool4), so their
published weights load as they are. Source: the `net.py` of https://github.com/shelhamer/fcn.berkeleyvision.org.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from fcn_deploy.models.fcn_vgg import FC_CHANNELS, STAGES
from fcn_deploy.models.layers import Crop, ScaleLayer, Sum, init_convolutions, init_scores, scaled, upsample

PADDING = 100


@dataclass(frozen=True)
class Skip:
    """Scores of one pool: its stage, where its map is cut, what multiplies it, and the upsampling that follows."""

    stage: int
    offset: int
    upscore: str
    factor: int
    scale: float = 1.0


class CaffeFCN(nn.Module):
    """What the released nets share; a subclass says which skips it has and where its output is cut.

    Args:
        num_classes: C, background included.
        width: multiplies every channel count but C and the input's 3.
        learned: whether training changes the transposed convolutions (the authors keep them bilinear).

    `forward` takes float32[N, 3, H, W], BGR minus the mean, and returns logits float32[N, C, H, W].
    """

    first_upscore: ClassVar[tuple[str, int]]
    skips: ClassVar[tuple[Skip, ...]]
    output_offset: ClassVar[int]

    def __init__(self, num_classes: int, *, width: float = 1.0, learned: bool = False) -> None:
        super().__init__()
        self.num_classes, self.width, self.learned = num_classes, width, learned
        self._add_stages()
        hidden = scaled(FC_CHANNELS, width)
        self.fc6 = nn.Conv2d(scaled(STAGES[4][1], width), hidden, 7)
        self.relu6 = nn.ReLU(inplace=True)
        self.drop6 = nn.Dropout()
        self.fc7 = nn.Conv2d(hidden, hidden, 1)
        self.relu7 = nn.ReLU(inplace=True)
        self.drop7 = nn.Dropout()
        self.score_fr = nn.Conv2d(hidden, num_classes, 1)
        init_convolutions(self)
        init_scores(self.score_fr, std=0.01)
        self._add_upscore(*self.first_upscore)
        for skip in self.skips:
            self._add_skip(skip)
        self.crop = Crop(self.output_offset)

    def _add_stages(self) -> None:
        in_channels = 3
        for stage, (convolutions, channels) in enumerate(STAGES, start=1):
            for index in range(1, convolutions + 1):
                padding = PADDING if (stage, index) == (1, 1) else 1
                layer = nn.Conv2d(in_channels, scaled(channels, self.width), 3, padding=padding)
                self.add_module(f"conv{stage}_{index}", layer)
                self.add_module(f"relu{stage}_{index}", nn.ReLU(inplace=True))
                in_channels = scaled(channels, self.width)
            self.add_module(f"pool{stage}", nn.MaxPool2d(2, 2, ceil_mode=True))

    def _add_upscore(self, name: str, factor: int) -> None:
        self.add_module(name, upsample(self.num_classes, factor, padding=0, learned=self.learned))

    def _add_skip(self, skip: Skip) -> None:
        pool = f"pool{skip.stage}"
        score = nn.Conv2d(scaled(STAGES[skip.stage - 1][1], self.width), self.num_classes, 1)
        init_scores(score, std=0)
        self.add_module(f"scale_{pool}", ScaleLayer(skip.scale) if skip.scale != 1 else nn.Identity())
        self.add_module(f"score_{pool}", score)
        self.add_module(f"crop_{pool}", Crop(skip.offset))
        self.add_module(f"fuse_{pool}", Sum())
        self._add_upscore(skip.upscore, skip.factor)

    def _pools(self, x: Tensor) -> dict[int, Tensor]:
        pools = {}
        for stage, (convolutions, _) in enumerate(STAGES, start=1):
            for index in range(1, convolutions + 1):
                x = self.get_submodule(f"relu{stage}_{index}")(self.get_submodule(f"conv{stage}_{index}")(x))
            x = pools[stage] = self.get_submodule(f"pool{stage}")(x)
        return pools

    def _fuse(self, skip: Skip, coarse: Tensor, pool: Tensor) -> Tensor:
        name = f"pool{skip.stage}"
        scores = self.get_submodule(f"score_{name}")(self.get_submodule(f"scale_{name}")(pool))
        fused: Tensor = self.get_submodule(f"fuse_{name}")(coarse, self.get_submodule(f"crop_{name}")(scores, coarse))
        return fused

    def forward(self, x: Tensor) -> Tensor:
        pools = self._pools(x)
        hidden = self.drop6(self.relu6(self.fc6(pools[5])))
        hidden = self.drop7(self.relu7(self.fc7(hidden)))
        scores = self.get_submodule(self.first_upscore[0])(self.score_fr(hidden))
        for skip in self.skips:
            scores = self.get_submodule(skip.upscore)(self._fuse(skip, scores, pools[skip.stage]))
        logits: Tensor = self.crop(scores, x)
        return logits


class CaffeFCN32s(CaffeFCN):
    """Stride 32: one x32 upsampling."""

    first_upscore = ("upscore", 32)
    skips = ()
    output_offset = 19


class CaffeFCN16s(CaffeFCN):
    """Stride 16: pool4 joins."""

    first_upscore = ("upscore2", 2)
    skips = (Skip(4, offset=5, upscore="upscore16", factor=16),)
    output_offset = 27


class CaffeFCN8s(CaffeFCN):
    """Stride 8: pool4, then pool3 join."""

    first_upscore = ("upscore2", 2)
    skips = (
        Skip(4, offset=5, upscore="upscore_pool4", factor=2),
        Skip(3, offset=9, upscore="upscore8", factor=8),
    )
    output_offset = 31


class CaffeFCN8sAtOnce(CaffeFCN8s):
    """FCN-8s trained in one go, for which the authors scaled the pools before scoring them."""

    skips = (
        Skip(4, offset=5, upscore="upscore_pool4", factor=2, scale=0.01),
        Skip(3, offset=9, upscore="upscore8", factor=8, scale=0.0001),
    )
