"""Recognise whose state dict this is: one table of conventions, each with its translation into our names.

A convention is recognised by its keys; the model, its width, head and class count are read from keys and tensor shapes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from fcn_deploy.card import Option
from fcn_deploy.models.fcn_resnet import LAYERS
from fcn_deploy.models.fcn_vgg import FC_CHANNELS, STAGES

State = Mapping[str, Tensor]
_DEFAULT_CLASSES = 21

VGG_FEATURES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # torchvision's indices of VGG-16's convolutions


@dataclass(frozen=True)
class Family:
    """How to read a model out of a state dict under our names.

    Attributes:
        scores: the weight whose first dimension is the class count.
        models: registry names that the keys allow, the likeliest first.
        options: constructor options that differ from the defaults.
    """

    scores: str
    models: Callable[[State], tuple[str, ...]]
    options: Callable[[State], dict[str, Option]]


@dataclass(frozen=True)
class Convention:
    """One published naming.

    Attributes:
        name: what users call it.
        keys: pattern that matches each of its keys.
        translate: its state dict -> ours; keys it does not know stay as they are.
        family: None for a classifier, which can only start a training.
    """

    name: str
    keys: str
    translate: Callable[[State], dict[str, Tensor]]
    family: Family | None

    def num_classes(self, state: State, default: int) -> int:
        """Return the class count by the shape of the scores; without them `default` or 21, and the fit reports it."""
        scores = state.get(self.family.scores) if self.family else None
        return default or _DEFAULT_CLASSES if scores is None or scores.dim() == 0 else scores.shape[0]


def recognise(state: State) -> Convention | None:
    """Return the convention that most keys speak for, or None if none has half of them."""
    votes = [sum(bool(re.fullmatch(convention.keys, key)) for key in state) for convention in CONVENTIONS]
    best = max(votes)
    return CONVENTIONS[votes.index(best)] if 2 * best >= len(state) else None


# ---- reading width, head and model from keys and shapes


def width_of(state: State, channels: Mapping[str, int]) -> float:
    """Return the width multiplier that explains every weight in `channels` (key -> its channels at width 1).

    Counts are rounded to multiples of 8, so each allows a range; the middle of what all allow is returned.
    """
    low, high = 0.0, float("inf")
    for key, base in channels.items():
        if key in state and state[key].dim() > 0:
            count = state[key].shape[0]
            low = max(low, (count - 4) / base if count > 8 else 0.0)
            high = min(high, (count + 4) / base)
    return 1.0 if high == float("inf") else (low + high) / 2


def _width_option(state: State, channels: Mapping[str, int]) -> dict[str, Option]:
    width = width_of(state, channels)
    return {} if width == 1.0 else {"width": width}


def _vgg_models(state: State) -> tuple[str, ...]:
    if "upscore8.weight" in state or "score_pool3.weight" in state:
        return ("fcn8s",)
    return ("fcn16s",) if "upscore16.weight" in state or "score_pool4.weight" in state else ("fcn32s",)


def _vgg_options(state: State) -> dict[str, Option]:
    channels = {f"backbone.stage{index}.conv1.weight": base for index, (_, base) in enumerate(STAGES, start=1)}
    options = _width_option(state, channels | {"fc6.weight": FC_CHANNELS})
    if "fc6.weight" not in state:
        options["head"] = "pool5"
    if any(re.fullmatch(r"upscore\w*\.bias", key) for key in state):
        options["upsample_bias"] = True
    return options


def _caffe_models(state: State) -> tuple[str, ...]:
    """FCN-8s and FCN-8s at once have the same keys; only the user can tell them apart."""
    model = _vgg_models(state)[0]
    return ("fcn8s-caffe", "fcn8s-atonce-caffe") if model == "fcn8s" else (f"{model}-caffe",)


def _caffe_options(state: State) -> dict[str, Option]:
    channels = {f"conv{index}_1.weight": base for index, (_, base) in enumerate(STAGES, start=1)}
    return _width_option(state, channels | {"fc6.weight": FC_CHANNELS})


def _resnet_models(state: State) -> tuple[str, ...]:
    head = "deeplabv3" if any(key.startswith("classifier.0.convs.") for key in state) else "fcn"
    depth = 101 if any(key.startswith("backbone.layer3.6.") for key in state) else 50
    return (f"{head}-resnet{depth}",)


def _resnet_options(state: State) -> dict[str, Option]:
    channels = {f"backbone.layer{index}.0.conv1.weight": base for index, (base, _, _) in enumerate(LAYERS, start=1)}
    options = _width_option(state, channels)
    if not any(key.startswith("aux_classifier.") for key in state):
        options["aux"] = False
    return options


# ---- translations into our names


_ARTICLE_LAYERS = {
    "classifier": "score_fr",
    "score_final": "score_fr",
    "upsample": "upscore32",
    "upsample2x": "upscore2",
    "upsample4x": "upscore_pool4",
    "upsample8x": "upscore8",
    "upsample32x": "upscore16",  # the article's FCN-16s calls its x16 so
}


def _from_article(state: State) -> dict[str, Tensor]:
    """Return `backbone.stage3.4.weight` (a convolution at every second index) -> `backbone.stage3.conv3.weight`."""

    def name(key: str) -> str:
        layer, _, leaf = key.rpartition(".")
        found = re.fullmatch(r"(backbone\.stage\d)\.(\d+)", layer)
        if found:
            return f"{found[1]}.conv{int(found[2]) // 2 + 1}.{leaf}"
        return f"{_ARTICLE_LAYERS.get(layer, layer)}.{leaf}"

    return {name(key): value for key, value in state.items()}


def _vgg_layers() -> dict[str, str]:
    names = [f"backbone.stage{s}.conv{i}" for s, (count, _) in enumerate(STAGES, start=1) for i in range(1, count + 1)]
    features = {f"features.{index}": name for index, name in zip(VGG_FEATURES, names, strict=True)}
    return features | {"classifier.0": "fc6", "classifier.3": "fc7", "classifier.6": "score_fr"}


def _from_vgg16(state: State) -> dict[str, Tensor]:
    """Return matrices over 7x7 maps become 7x7 convolutions, the others 1x1 convolutions; memory is shared."""
    layers = _vgg_layers()
    translated = {}
    for key, value in state.items():
        layer, _, leaf = key.rpartition(".")
        side = 7 if layer == "classifier.0" else 1
        if value.dim() == 2 and value.shape[1] % side**2 == 0:
            value = value.reshape(value.shape[0], -1, side, side)
        translated[f"{layers.get(layer, layer)}.{leaf}"] = value
    return translated


def _with_batch_counts(state: State) -> dict[str, Tensor]:
    """Add the batch counters of batch norms, which files of before 2018 lack and inference never reads."""
    means = [key for key in state if key.endswith(".running_mean")]
    counters = {key.replace("running_mean", "num_batches_tracked"): torch.tensor(0) for key in means}
    return counters | dict(state)


def _from_resnet(state: State) -> dict[str, Tensor]:
    return {f"backbone.{key}": value for key, value in _with_batch_counts(state).items()}


_VGG = Family("score_fr.weight", _vgg_models, _vgg_options)
_CAFFE = Family("score_fr.weight", _caffe_models, _caffe_options)
_RESNET = Family("classifier.4.weight", _resnet_models, _resnet_options)
_HEAD = r"fc[67]|score_\w+|upscore\w*"

_RESNET_KEYS = r"conv1|bn1|layer\d\..+"

VGG16_CLASSIFIER = Convention(
    "torchvision VGG-16 (features.N, classifier.N)", r"(features|classifier)\.\d+\.\w+", _from_vgg16, None
)
CONVENTIONS = (
    Convention(
        "our own (backbone.stage1.conv1, score_fr)", rf"(backbone\.stage\d\.conv\d|{_HEAD})\.(weight|bias)", dict, _VGG
    ),
    Convention(
        "the article's FCN classes (backbone.stage1.0)",
        r"(backbone\.stage\d\.\d+|classifier|upsample\w*|score_\w+)\.(weight|bias)",
        _from_article,
        _VGG,
    ),
    Convention("pytorch-fcn / Caffe FCN (conv1_1, score_fr)", rf"(conv\d_\d|{_HEAD})\.(weight|bias)", dict, _CAFFE),
    Convention(
        "torchvision FCN-ResNet (backbone.layer1, classifier.N)",
        rf"(backbone\.({_RESNET_KEYS})|(aux_)?classifier\.\d+)\.\w+",
        _with_batch_counts,
        _RESNET,
    ),
    Convention(
        "torchvision DeepLabV3-ResNet (backbone.layer1, classifier.0.convs)",
        rf"(backbone\.({_RESNET_KEYS})|(aux_)?classifier\.(\d+|0\.(convs|project)\.[\d.]+))\.\w+",
        _with_batch_counts,
        _RESNET,
    ),
    VGG16_CLASSIFIER,
    Convention("torchvision ResNet (conv1, layer1, fc)", rf"({_RESNET_KEYS}|fc)\.\w+", _from_resnet, None),
)
