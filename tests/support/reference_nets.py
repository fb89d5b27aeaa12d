"""The published networks, written from their descriptions on plain state dicts and independent of the package.

Widths are an eighth of the published ones (8, 16, 32, 64, 64 channels; 512 in fc6 and fc7), so that tests are quick.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

State = dict[str, Tensor]

STAGES = ((2, 8), (2, 16), (3, 32), (3, 64), (3, 64))
WIDTH = 0.125
HIDDEN = 512


def conv(state: State, name: str, cin: int, cout: int, kernel: int, bias: bool = True) -> None:
    """Add random weights that keep the size of activations."""
    state[f"{name}.weight"] = torch.randn(cout, cin, kernel, kernel) * (2 / (cin * kernel**2)) ** 0.5
    if bias:
        state[f"{name}.bias"] = torch.randn(cout) * 0.1


# ---- the article's classes


class ArticleBackbone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        cin = 3
        for number, (count, cout) in enumerate(STAGES, start=1):
            layers: list[nn.Module] = []
            for _ in range(count):
                layers += [nn.Conv2d(cin, cout, 3, padding=1), nn.ReLU(inplace=True)]
                cin = cout
            setattr(self, f"stage{number}", nn.Sequential(*layers, nn.MaxPool2d(2, 2)))

    def forward(self, x: Tensor) -> list[Tensor]:
        pools = []
        for number in range(1, 6):
            x = getattr(self, f"stage{number}")(x)
            pools.append(x)
        return pools


class ArticleFCN32s(nn.Module):
    def __init__(self, classes: int, bias: bool) -> None:
        super().__init__()
        self.backbone = ArticleBackbone()
        self.classifier = nn.Conv2d(64, classes, 1)
        self.upsample = nn.ConvTranspose2d(classes, classes, 64, stride=32, padding=16, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.upsample(self.classifier(self.backbone(x)[4]))


class ArticleFCN16s(nn.Module):
    def __init__(self, classes: int, bias: bool) -> None:
        super().__init__()
        self.backbone = ArticleBackbone()
        self.score_pool4 = nn.Conv2d(64, classes, 1)
        self.score_final = nn.Conv2d(64, classes, 1)
        self.upsample2x = nn.ConvTranspose2d(classes, classes, 4, stride=2, padding=1, bias=bias)
        self.upsample32x = nn.ConvTranspose2d(classes, classes, 32, stride=16, padding=8, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        _, _, _, pool4, pool5 = self.backbone(x)
        return self.upsample32x(self.upsample2x(self.score_final(pool5)) + self.score_pool4(pool4))


class ArticleFCN8s(nn.Module):
    def __init__(self, classes: int, bias: bool) -> None:
        super().__init__()
        self.backbone = ArticleBackbone()
        self.score_pool3 = nn.Conv2d(32, classes, 1)
        self.score_pool4 = nn.Conv2d(64, classes, 1)
        self.score_final = nn.Conv2d(64, classes, 1)
        self.upsample2x = nn.ConvTranspose2d(classes, classes, 4, stride=2, padding=1, bias=bias)
        self.upsample4x = nn.ConvTranspose2d(classes, classes, 4, stride=2, padding=1, bias=bias)
        self.upsample8x = nn.ConvTranspose2d(classes, classes, 16, stride=8, padding=4, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        _, _, pool3, pool4, pool5 = self.backbone(x)
        fused = self.upsample2x(self.score_final(pool5)) + self.score_pool4(pool4)
        return self.upsample8x(self.upsample4x(fused) + self.score_pool3(pool3))


ARTICLE = {"fcn32s": ArticleFCN32s, "fcn16s": ArticleFCN16s, "fcn8s": ArticleFCN8s}


# ---- the authors' nets (pytorch-fcn, Caffe)

CAFFE_UPSCORES = {
    "fcn32s-caffe": {"upscore": 32},
    "fcn16s-caffe": {"upscore2": 2, "upscore16": 16},
    "fcn8s-caffe": {"upscore2": 2, "upscore_pool4": 2, "upscore8": 8},
    "fcn8s-atonce-caffe": {"upscore2": 2, "upscore_pool4": 2, "upscore8": 8},
}


def caffe_state(model: str, classes: int) -> State:
    state: State = {}
    cin = 3
    for stage, (count, cout) in enumerate(STAGES, start=1):
        for index in range(1, count + 1):
            conv(state, f"conv{stage}_{index}", cin, cout, 3)
            cin = cout
    conv(state, "fc6", 64, HIDDEN, 7)
    conv(state, "fc7", HIDDEN, HIDDEN, 1)
    conv(state, "score_fr", HIDDEN, classes, 1)
    if "32s" not in model:
        conv(state, "score_pool4", 64, classes, 1)
    if "8s" in model:
        conv(state, "score_pool3", 32, classes, 1)
    for name, factor in CAFFE_UPSCORES[model].items():
        state[f"{name}.weight"] = torch.rand(classes, classes, 2 * factor, 2 * factor) * 0.3
    return state


def caffe_logits(state: State, model: str, x: Tensor) -> Tensor:
    def apply(name: str, value: Tensor, padding: int = 0) -> Tensor:
        return F.conv2d(value, state[f"{name}.weight"], state[f"{name}.bias"], padding=padding)

    def up(name: str, value: Tensor) -> Tensor:
        return F.conv_transpose2d(value, state[f"{name}.weight"], stride=CAFFE_UPSCORES[model][name])

    def cut(value: Tensor, start: int, like: Tensor) -> Tensor:
        return value.narrow(2, start, like.shape[2]).narrow(3, start, like.shape[3])

    pools, value = {}, x
    for stage, (count, _) in enumerate(STAGES, start=1):
        for index in range(1, count + 1):
            value = apply(f"conv{stage}_{index}", value, 100 if (stage, index) == (1, 1) else 1).relu()
        value = pools[stage] = F.max_pool2d(value, 2, 2, ceil_mode=True)
    scores = apply("score_fr", apply("fc7", apply("fc6", value).relu()).relu())
    if model == "fcn32s-caffe":
        return cut(up("upscore", scores), 19, x)
    at_once = "atonce" in model
    scores = up("upscore2", scores)
    scores = scores + cut(apply("score_pool4", pools[4] * (0.01 if at_once else 1)), 5, scores)
    if model == "fcn16s-caffe":
        return cut(up("upscore16", scores), 27, x)
    scores = up("upscore_pool4", scores)
    scores = scores + cut(apply("score_pool3", pools[3] * (0.0001 if at_once else 1)), 9, scores)
    return cut(up("upscore8", scores), 31, x)


# ---- torchvision's VGG-16


def vgg16_state(classes: int) -> State:
    state: State = {}
    index, cin = 0, 3
    for count, cout in STAGES:
        for _ in range(count):
            conv(state, f"features.{index}", cin, cout, 3)
            cin, index = cout, index + 2
        index += 1
    for name, (fan_in, fan_out) in {"0": (64 * 49, HIDDEN), "3": (HIDDEN, HIDDEN), "6": (HIDDEN, classes)}.items():
        state[f"classifier.{name}.weight"] = torch.randn(fan_out, fan_in) * (2 / fan_in) ** 0.5
        state[f"classifier.{name}.bias"] = torch.randn(fan_out) * 0.1
    return state


def vgg16_logits(state: State, x: Tensor) -> Tensor:
    """float32[N, 3, 224, 224] -> float32[N, classes]."""
    index = 0
    for count, _ in STAGES:
        for _ in range(count):
            x = F.conv2d(x, state[f"features.{index}.weight"], state[f"features.{index}.bias"], padding=1).relu()
            index += 2
        x = F.max_pool2d(x, 2)
        index += 1
    x = x.flatten(1)
    for name in ("0", "3"):
        x = F.linear(x, state[f"classifier.{name}.weight"], state[f"classifier.{name}.bias"]).relu()
    return F.linear(x, state["classifier.6.weight"], state["classifier.6.bias"])


# ---- torchvision's FCN-ResNet


def _batch_norm(state: State, name: str, channels: int) -> None:
    state[f"{name}.weight"] = torch.rand(channels) + 0.5
    state[f"{name}.bias"] = torch.randn(channels) * 0.1
    state[f"{name}.running_mean"] = torch.randn(channels) * 0.1
    state[f"{name}.running_var"] = torch.rand(channels) + 0.5
    state[f"{name}.num_batches_tracked"] = torch.tensor(7)


def resnet_state(classes: int, blocks: tuple[int, ...], aux: bool = True, stem: int = 8) -> State:
    state: State = {}
    conv(state, "backbone.conv1", 3, stem, 7, bias=False)
    _batch_norm(state, "backbone.bn1", stem)
    cin = stem
    for layer, count in enumerate(blocks, start=1):
        inner = stem * 2 ** (layer - 1)
        for block in range(count):
            name = f"backbone.layer{layer}.{block}"
            for index, (fan_in, fan_out, kernel) in enumerate(
                ((cin, inner, 1), (inner, inner, 3), (inner, 4 * inner, 1)), start=1
            ):
                conv(state, f"{name}.conv{index}", fan_in, fan_out, kernel, bias=False)
                _batch_norm(state, f"{name}.bn{index}", fan_out)
            if block == 0:
                conv(state, f"{name}.downsample.0", cin, 4 * inner, 1, bias=False)
                _batch_norm(state, f"{name}.downsample.1", 4 * inner)
            cin = 4 * inner
    for head, channels in {"classifier": cin, **({"aux_classifier": cin // 2} if aux else {})}.items():
        conv(state, f"{head}.0", channels, channels // 4, 3, bias=False)
        _batch_norm(state, f"{head}.1", channels // 4)
        conv(state, f"{head}.4", channels // 4, classes, 1)
    return state


def deeplab_state(classes: int, blocks: tuple[int, ...], aux: bool = True, stem: int = 8) -> State:
    state = {key: value for key, value in resnet_state(classes, blocks, aux, stem).items() if key[:10] != "classifier"}
    cin, inner = 32 * stem, 4 * stem
    kernels = {"0.0": 1, "1.0": 3, "2.0": 3, "3.0": 3, "4.1": 1}
    layers = {f"classifier.0.convs.{name}": (cin, kernel) for name, kernel in kernels.items()}
    layers |= {"classifier.0.project.0": (5 * inner, 1), "classifier.1": (inner, 3)}
    for name, (fan_in, kernel) in layers.items():
        conv(state, name, fan_in, inner, kernel, bias=False)
        before, _, index = name.rpartition(".")
        _batch_norm(state, f"{before}.{int(index) + 1}", inner)
    conv(state, "classifier.4", inner, classes, 1)
    return state


def _batch_normed(state: State, name: str, value: Tensor) -> Tensor:
    mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    return F.batch_norm(value, mean, var, state[f"{name}.weight"], state[f"{name}.bias"], eps=1e-5)


def deeplab_logits(state: State, x: Tensor, blocks: tuple[int, ...]) -> Tensor:
    def layer(name: str, value: Tensor, rate: int = 1) -> Tensor:
        weight = state[f"{name}.weight"]
        before, _, index = name.rpartition(".")
        value = F.conv2d(value, weight, None, 1, rate if weight.shape[-1] == 3 else 0, rate)
        return _batch_normed(state, f"{before}.{int(index) + 1}", value).relu()

    features = resnet_features(state, x, blocks)[3]
    branches = [layer("classifier.0.convs.0.0", features)]
    branches += [layer(f"classifier.0.convs.{index}.0", features, 12 * index) for index in (1, 2, 3)]
    mean = layer("classifier.0.convs.4.1", features.mean((2, 3), keepdim=True))
    joined = torch.cat([*branches, mean.expand_as(branches[0])], 1)
    value = layer("classifier.1", layer("classifier.0.project.0", joined))
    value = F.conv2d(value, state["classifier.4.weight"], state["classifier.4.bias"])
    return F.interpolate(value, size=x.shape[2:], mode="bilinear", align_corners=False)


def resnet_logits(state: State, x: Tensor, blocks: tuple[int, ...], head: str = "classifier") -> Tensor:
    outputs = resnet_features(state, x, blocks)
    value = outputs[2] if head == "aux_classifier" else outputs[3]
    value = _batch_normed(state, f"{head}.1", F.conv2d(value, state[f"{head}.0.weight"], None, 1, 1)).relu()
    value = F.conv2d(value, state[f"{head}.4.weight"], state[f"{head}.4.bias"])
    return F.interpolate(value, size=x.shape[2:], mode="bilinear", align_corners=False)


def resnet_features(state: State, x: Tensor, blocks: tuple[int, ...]) -> list[Tensor]:
    """The outputs of the four layers."""

    def norm(name: str, value: Tensor) -> Tensor:
        return _batch_normed(state, name, value)

    def bottleneck(name: str, value: Tensor, stride: int, dilation: int) -> Tensor:
        out = norm(f"{name}.bn1", F.conv2d(value, state[f"{name}.conv1.weight"])).relu()
        weight = state[f"{name}.conv2.weight"]
        out = norm(f"{name}.bn2", F.conv2d(out, weight, None, stride, dilation, dilation)).relu()
        out = norm(f"{name}.bn3", F.conv2d(out, state[f"{name}.conv3.weight"]))
        if f"{name}.downsample.0.weight" in state:
            shortcut = F.conv2d(value, state[f"{name}.downsample.0.weight"], None, stride)
            value = norm(f"{name}.downsample.1", shortcut)
        return (out + value).relu()

    value = norm("backbone.bn1", F.conv2d(x, state["backbone.conv1.weight"], None, 2, 3)).relu()
    value = F.max_pool2d(value, 3, 2, 1)
    # (stride, dilation) of the first block and of the others, with replace_stride_with_dilation=[False, True, True]
    plan = (((1, 1), (1, 1)), ((2, 1), (1, 1)), ((1, 1), (1, 2)), ((1, 2), (1, 4)))
    outputs = []
    for layer, (count, (first, others)) in enumerate(zip(blocks, plan, strict=True), start=1):
        for block in range(count):
            value = bottleneck(f"backbone.layer{layer}.{block}", value, *(others if block else first))
        outputs.append(value)
    return outputs
