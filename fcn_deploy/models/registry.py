"""Every model by name. A new one is a file next to this one and a line in `MODELS`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fcn_deploy.card import CAFFE_MEAN, CAFFE_STD, FOREIGN, ModelCard, Option, class_names
from fcn_deploy.errors import RecipeError, UnknownNameError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ModelEntry:
    """Where a model's constructor is, fields of its card that say how its images are prepared, and its total stride."""

    constructor: str
    images: Mapping[str, Any] = field(default_factory=dict)
    stride: int = 32


CAFFE = {"mean": CAFFE_MEAN, "std": CAFFE_STD, "channel_order": "BGR"}
MODELS = {
    "fcn32s": ModelEntry("fcn_vgg:FCN32s"),
    "fcn16s": ModelEntry("fcn_vgg:FCN16s"),
    "fcn8s": ModelEntry("fcn_vgg:FCN8s"),
    "fcn32s-caffe": ModelEntry("fcn_caffe:CaffeFCN32s", CAFFE),
    "fcn16s-caffe": ModelEntry("fcn_caffe:CaffeFCN16s", CAFFE),
    "fcn8s-caffe": ModelEntry("fcn_caffe:CaffeFCN8s", CAFFE),
    "fcn8s-atonce-caffe": ModelEntry("fcn_caffe:CaffeFCN8sAtOnce", CAFFE),
    "fcn-resnet50": ModelEntry("fcn_resnet:fcn_resnet50", stride=8),
    "fcn-resnet101": ModelEntry("fcn_resnet:fcn_resnet101", stride=8),
    "deeplabv3-resnet50": ModelEntry("deeplab:deeplabv3_resnet50", stride=8),
    "deeplabv3-resnet101": ModelEntry("deeplab:deeplabv3_resnet101", stride=8),
}


def entry(model: str) -> ModelEntry:
    """Return the registry line of `model`.

    Raises:
        UnknownNameError: there is none; the message has near matches.
        RecipeError: it is another tool's network.
    """
    if model == FOREIGN:
        raise RecipeError("the network was adopted from another tool, so PyTorch has none of it; give its .onnx file")
    if model not in MODELS:
        raise UnknownNameError.of("model", model, MODELS)
    return MODELS[model]


def new_card(model: str, classes: Sequence[str], **options: Option) -> ModelCard:
    """Return a card for `model` with its own preprocessing and the given classes and options."""
    return ModelCard(model, class_names(classes), options, **entry(model).images)


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
