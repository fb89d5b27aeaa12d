"""Start a model from the weights of another: a classifier, a coarser FCN, other classes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from fcn_deploy.errors import CheckpointError
from fcn_deploy.model_file import file_of
from fcn_deploy.models.checkpoints import convention_of
from fcn_deploy.models.conventions import VGG16_CLASSIFIER, Convention
from fcn_deploy.models.fit import check_finite, listed, same_kind, shape
from fcn_deploy.models.state_dicts import state_dict_of
from fcn_deploy.models.weights_file import read_weights
from fcn_deploy.recipe import checkpoint_of

# Layers whose shape depends on the classes, the stride or the head: they may differ between two models of one backbone.
_OWN_TO_A_MODEL = re.compile(r"(score_|upscore|classifier\.|aux_classifier\.4\.).*")


@dataclass(frozen=True)
class Transfer:
    """What became of a file's weights.

    Attributes:
        source: the convention of the file.
        taken: names, as in the model, of the weights that the model now has.
        left: what the file has and the model did not take, each with the reason.
        fresh: names of the model's weights that stay as they were initialised.
    """

    source: str
    taken: list[str]
    left: list[str]
    fresh: list[str]

    def __str__(self) -> str:
        left = f"; left: {listed(self.left)}" if self.left else ""
        fresh = f"; fresh: {listed(self.fresh)}" if self.fresh else ""
        return f"took {len(self.taken)} weights of {self.source}{left}{fresh}"


def load_weights_into(model: nn.Module, path: Path | str) -> Transfer:
    """Copy into `model` every weight of `path` (a checkpoint, a recipe or "demo") that has its name and shape there.

    A coarser FCN hands its shared layers to a finer one, whose skips stay at zero; another class count leaves the
    scores fresh. A VGG-16 goes into FCNs on VGG-16, also into the Caffe variant (whose mean and channel order are
    those of a VGG-16 converted from Caffe; its file looks the same as torchvision's).

    Raises:
        CheckpointError: the file cannot be read or is not recognised, nothing in it fits, or a backbone layer has
            another shape (another width).
    """
    path = checkpoint_of(file_of(path))
    held = state_dict_of(read_weights(path), path)
    convention = convention_of(held, path)
    tensors = _named_as_in(model, convention, convention.translate(held))
    needed = model.state_dict()
    fits = {key: value for key, value in tensors.items() if key in needed and _fits(value, needed[key])}
    differing = [key for key in tensors if key in needed and key not in fits]
    _check_backbone(fits, differing, tensors, needed, f"{path} ({convention.name})")
    check_finite(fits, path)
    model.load_state_dict(fits, strict=False)
    left = [f"{key} ({_reason(key, tensors, needed)})" for key in tensors if key not in fits]
    return Transfer(convention.name, list(fits), left, [key for key in needed if key not in fits])


def _named_as_in(model: nn.Module, convention: Convention, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a VGG-16's weights under the flat names of the Caffe variant, if `model` is one."""
    if convention is not VGG16_CLASSIFIER or not hasattr(model, "conv1_1"):
        return tensors
    return {re.sub(r"^backbone\.stage(\d)\.conv(\d)", r"conv\1_\2", key): value for key, value in tensors.items()}


def _check_backbone(
    fits: dict[str, Tensor], differing: list[str], tensors: dict[str, Tensor], needed: dict[str, Tensor], source: str
) -> None:
    wrong = [key for key in differing if not _OWN_TO_A_MODEL.match(key)]
    if wrong:
        shapes = [f"{key} {_form(tensors[key])} (expected {_form(needed[key])})" for key in wrong]
        raise CheckpointError(f"{source} is of another width or layout: {listed(shapes)}")
    if not any(not _OWN_TO_A_MODEL.match(key) for key in fits):
        raise CheckpointError(
            f"{source} has nothing for this model: it has {listed(list(tensors))}; expected {listed(list(needed))}"
        )


def _reason(key: str, tensors: dict[str, Tensor], needed: dict[str, Tensor]) -> str:
    if key not in needed:
        return "not in this model"
    return f"{_form(tensors[key])} there, {_form(needed[key])} here"


def _fits(tensor: Tensor, needed: Tensor) -> bool:
    return tensor.shape == needed.shape and same_kind(tensor, needed)


def _form(tensor: Tensor) -> str:
    kind = "" if tensor.is_floating_point() else f" {str(tensor.dtype).removeprefix('torch.')}"
    return shape(tensor) + kind
