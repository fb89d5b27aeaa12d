"""Networks as torchvision and segmentation-models-pytorch build them, through PyTorch's own exporters, then adopted."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

import fcn_deploy

IMAGENET = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}


def layer(before: int, after: int, **options: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, bias=False, **options), nn.BatchNorm2d(after), nn.ReLU())


class Pyramid(nn.Module):
    """DeepLabV3's ASPP: a 1x1 branch, a dilated one, and the mean of the image stretched over it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.one, self.wide = nn.Conv2d(channels, 8, 1), layer(channels, 8, padding=4, dilation=4)
        self.pool, self.mix = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, 8, 1)), nn.Conv2d(24, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        mean = interpolate(self.pool(x), size=x.shape[-2:], mode="bilinear", align_corners=False)
        return self.mix(torch.cat([self.one(x), self.wide(x), mean], 1))


class Segmenter(nn.Module):
    """torchvision's: a backbone of stride 8, a head and an auxiliary head, both stretched to the image."""

    def __init__(self, head: nn.Module, width: int, classes: int = 5) -> None:
        super().__init__()
        self.stem, self.body = layer(3, 8, stride=2, padding=1), layer(8, 16, stride=2, padding=1)
        self.last, self.head = layer(16, 16, stride=2, padding=1), head
        self.score, self.aux = nn.Conv2d(width, classes, 1), nn.Conv2d(16, classes, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        middle = self.body(self.stem(x))
        scores = self.score(self.head(self.last(middle))), self.aux(middle)
        out, aux = (interpolate(each, size=x.shape[-2:], mode="bilinear", align_corners=False) for each in scores)
        return out, aux


class Fpn(nn.Module):
    """segmentation-models-pytorch's: levels upsampled by 2 and added, scores at a quarter upsampled by 4."""

    def __init__(self) -> None:
        super().__init__()
        self.levels = nn.ModuleList([layer(3, 8, stride=4, padding=1), layer(8, 8, stride=2, padding=1)])
        self.side, self.score = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        quarter = self.levels[0](x)
        merged = self.side(quarter) + interpolate(self.levels[1](quarter), scale_factor=2, mode="nearest")
        return interpolate(self.score(merged), scale_factor=4, mode="bilinear", align_corners=False).sigmoid()


def exported(model: nn.Module, path: Path, names: list[str], *, dynamo: bool) -> Path:
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()  # type: ignore[union-attr, operator]
            module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr, operator]
    named = {"input": {0: "batch", 2: "height", 3: "width"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model.eval(), (torch.rand(1, 3, 64, 96),), path, input_names=["input"], output_names=names, dynamo=dynamo,
            opset_version=18 if dynamo else 17, dynamic_axes=None if dynamo else named,
            dynamic_shapes=({0: torch.export.Dim.AUTO, 2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO},)
            if dynamo
            else None,
        )  # fmt: skip
    return path


@pytest.mark.parametrize(
    ("name", "dynamo"),
    [
        pytest.param("fcn", False, id="fcn-torchscript"),
        pytest.param("fcn", True, id="fcn-dynamo", marks=pytest.mark.long),
        pytest.param("deeplab", False, id="deeplab-torchscript", marks=pytest.mark.long),
        pytest.param("deeplab", True, id="deeplab-dynamo"),
    ],
)
def test_torchvisions_networks_with_an_auxiliary_head_take_any_size(name, dynamo, tmp_path):
    head, width = (Pyramid(16), 8) if name == "deeplab" else (layer(16, 16, padding=1), 16)
    net = exported(Segmenter(head, width), tmp_path / "net.onnx", ["out", "aux"], dynamo=dynamo)
    report = fcn_deploy.adopt(net, tmp_path / "a.onnx", **IMAGENET)
    assert (report.scores.name, report.scores.classes) == ("out", 5)
    assert report.divisor == 1
    assert all(tick.relative_difference < 1e-5 and tick.labels_differing == 0 for tick in report.ticks)
    half = fcn_deploy.quantize(report.path, tmp_path / "h.onnx", precision="fp16")
    assert half.half is not None
    pytest.importorskip("tensorrt_rtx")
    shapes = (1, 33, 47), (1, 64, 96), (2, 128, 192)
    assert fcn_deploy.build_engine(report.path, tmp_path / "e.engine", profiles=[fcn_deploy.Profile(*shapes)]).built


@pytest.mark.parametrize("dynamo", [False, True], ids=["torchscript", "dynamo"])
def test_a_feature_pyramid_takes_multiples_of_its_stride(dynamo, tmp_path):
    net = exported(Fpn(), tmp_path / "net.onnx", ["mask"], dynamo=dynamo)
    report = fcn_deploy.adopt(net, tmp_path / "a.onnx", **IMAGENET, classes=["polyp"])
    assert (report.divisor, report.meaning.activation, report.card.classes) == (8, "Sigmoid", ("background", "polyp"))
