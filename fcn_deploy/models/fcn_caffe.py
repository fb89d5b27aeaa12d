"""The authors' released FCN-32s, 16s and 8s as Caffe ran them, for any H, W >= 1.

The input is padded by 100, fc6 is an unpadded 7x7, transposed convolutions are unpadded, and fixed offsets cut the
skips and the output back into place. Modules are named as in the released nets (conv1_1 ... upscore_pool4), so their
published weights load as they are. Source: the `net.py` of https://github.com/shelhamer/fcn.berkeleyvision.org.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from fcn_deploy.models.fcn_vgg import FCN, STAGES, FCN8s, FCN16s
from fcn_deploy.models.layers import Crop, ScaleLayer, Sum, scaled

PADDING = 100


class CaffeFCN(FCN):
    """What the released nets share; a subclass lists its upsamplings, and where the maps are cut.

    The arguments are those of `FCN`; the authors keep the transposed convolutions bilinear, so they are not `learned`.

    `forward` takes float32[N, 3, H, W], BGR minus the mean, and returns logits float32[N, C, H, W].
    """

    offsets: ClassVar[tuple[int, ...]]  # of the scores of pool4, of pool3, and of the output
    scales: ClassVar[tuple[float, ...]] = (1.0, 1.0)  # of pool4 and pool3

    def __init__(self, num_classes: int, *, width: float = 1.0, learned: bool = False) -> None:
        super().__init__(num_classes, width=width, learned=learned)

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

    def _add_fc_layers(self, channels: int, padding: int = 0) -> int:
        return super()._add_fc_layers(channels, padding)

    def _add_skips(self) -> None:
        for index, (name, factor) in enumerate(self.upscores):
            if index:
                self._add_skip(5 - index, self.offsets[index - 1], self.scales[index - 1])
            self._add_upscore(name, factor, padding=0)
        self.crop = Crop(self.offsets[-1])

    def _add_skip(self, stage: int, offset: int, scale: float) -> None:
        self.add_module(f"scale_pool{stage}", ScaleLayer(scale) if scale != 1 else nn.Identity())
        self._add_score(stage)
        self.add_module(f"crop_pool{stage}", Crop(offset))
        self.add_module(f"fuse_pool{stage}", Sum())

    def _pools(self, x: Tensor) -> dict[int, Tensor]:
        pools = {}
        for stage, (convolutions, _) in enumerate(STAGES, start=1):
            for index in range(1, convolutions + 1):
                x = self.get_submodule(f"relu{stage}_{index}")(self.get_submodule(f"conv{stage}_{index}")(x))
            x = pools[stage] = self.get_submodule(f"pool{stage}")(x)
        return pools

    def _fuse(self, stage: int, coarse: Tensor, pool: Tensor) -> Tensor:
        scale, score, crop, fuse = (
            self.get_submodule(f"{kind}_pool{stage}") for kind in ("scale", "score", "crop", "fuse")
        )
        fused: Tensor = fuse(coarse, crop(score(scale(pool)), coarse))
        return fused


class CaffeFCN32s(CaffeFCN):
    """Stride 32: one x32 upsampling."""

    upscores = (("upscore", 32),)
    offsets = (19,)


class CaffeFCN16s(CaffeFCN):
    """Stride 16: pool4 joins."""

    upscores = FCN16s.upscores
    offsets = (5, 27)


class CaffeFCN8s(CaffeFCN):
    """Stride 8: pool4, then pool3 join."""

    upscores = FCN8s.upscores
    offsets = (5, 9, 31)


class CaffeFCN8sAtOnce(CaffeFCN8s):
    """FCN-8s trained in one go, for which the authors scaled the pools before scoring them."""

    scales = (0.01, 0.0001)
