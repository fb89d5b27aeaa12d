"""Every model by name. A new one is a file beside this one and a line in `MODELS`."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fcn_deploy.card import (
    CAFFE_MEAN,
    CAFFE_STD,
    IMAGENET_MEAN,
    IMAGENET_STD,
    ChannelOrder,
    ModelCard,
    Option,
    Triple,
    class_names,
)
from fcn_deploy.errors import RecipeError, UnknownNameError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ModelEntry:
    """Where a model's constructor is and what its images are made of."""

    constructor: str
    summary: str
    mean: Triple = IMAGENET_MEAN
    std: Triple = IMAGENET_STD
    channel_order: ChannelOrder = "RGB"


def _caffe(constructor: str, summary: str) -> ModelEntry:
    return ModelEntry(f"fcn_caffe:{constructor}", summary, CAFFE_MEAN, CAFFE_STD, "BGR")


MODELS = {
    "fcn32s": ModelEntry("fcn_vgg:FCN32s", "FCN-32s on VGG-16"),
    "fcn16s": ModelEntry("fcn_vgg:FCN16s", "FCN-16s on VGG-16"),
    "fcn8s": ModelEntry("fcn_vgg:FCN8s", "FCN-8s on VGG-16"),
    "fcn32s-caffe": _caffe("CaffeFCN32s", "the authors' FCN-32s: padding 100 and its crops"),
    "fcn16s-caffe": _caffe("CaffeFCN16s", "the authors' FCN-16s"),
    "fcn8s-caffe": _caffe("CaffeFCN8s", "the authors' FCN-8s"),
    "fcn8s-atonce-caffe": _caffe("CaffeFCN8sAtOnce", "the authors' FCN-8s trained at once, scaled skips"),
    "fcn-resnet50": ModelEntry("fcn_resnet:fcn_resnet50", "FCN on a dilated ResNet-50 (torchvision's names)"),
    "fcn-resnet101": ModelEntry("fcn_resnet:fcn_resnet101", "FCN on a dilated ResNet-101 (torchvision's names)"),
}


def entry(model: str) -> ModelEntry:
    """Return the registry line of `model`; UnknownNameError (with near matches) if there is none."""
    if model not in MODELS:
        raise UnknownNameError.of("model", model, MODELS)
    return MODELS[model]


def new_card(model: str, classes: Sequence[str], **options: Option) -> ModelCard:
    """Return a card for `model` with its own preprocessing and the given classes and options."""
    line = entry(model)
    return ModelCard(
        model, class_names(classes), options, mean=line.mean, std=line.std, channel_order=line.channel_order
    )


def build(card: ModelCard) -> nn.Module:
    """Construct the network of `card` with fresh weights, in evaluation mode.

    Raises:
        UnknownNameError: no such model.
        RecipeError: the model does not take one of the card's options, or not that value.
    """
    module_name, _, constructor = entry(card.model).constructor.partition(":")
    module = importlib.import_module(f".{module_name}", __package__)
    try:
        model: nn.Module = getattr(module, constructor)(card.num_classes, **card.options)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"{card.model} cannot be built with {dict(card.options)}: {error}") from error
    return model.eval()
