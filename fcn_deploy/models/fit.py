"""Compare the tensors of a file with what a network needs, and say what is between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from fcn_deploy.errors import CheckpointError
from fcn_deploy.models.conventions import CONVENTIONS, State
from fcn_deploy.models.registry import MODELS, build, new_card
from fcn_deploy.models.weights_file import printable
from fcn_deploy.vocabulary import shape_text

LISTED = 4  # keys named in a message before the rest is only counted


def check_fit(model: nn.Module, model_name: str, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Compare names, shapes and kinds of number with what `model` has.

    Raises:
        CheckpointError: with the keys that are missing, unexpected, mis-shaped or whole numbers.
    """
    needed = model.state_dict()
    missing = [key for key in needed if key not in tensors]
    unexpected = [key for key in tensors if key not in needed]
    misshaped = [
        f"{key} {shape(value)} (expected {shape(needed[key])})"
        for key, value in tensors.items()
        if key in needed and value.shape != needed[key].shape
    ]
    kinds = [
        f"{key} {str(value.dtype).removeprefix('torch.')}"
        for key, value in tensors.items()
        if key in needed and not same_kind(value, needed[key])
    ]
    found = {
        "missing": missing, "unexpected": unexpected, "mis-shaped": misshaped, "not of floating point": kinds,
    }  # fmt: skip
    faults = [f"{len(keys)} {kind}: {listed(keys)}" for kind, keys in found.items() if keys]
    if faults:
        fitting = len(needed) - len(missing) - len(misshaped)
        raise CheckpointError(
            f"{path} does not fit {model_name}: {'; '.join(faults)}; {fitting} of its {len(needed)} weights fit"
        )


def nearest(state: State) -> str:
    """Say which network shares most names with a state dict that follows no convention; "" if none shares any."""
    with torch.device("meta"):
        needed = {model: set(build(new_card(model, ("a", "b"))).state_dict()) for model in MODELS}
    translated = [set(convention.translate(state)) for convention in CONVENTIONS if convention.family is not None]
    pairs = [(model, names) for model in MODELS for names in translated]
    model, names = max(pairs, key=lambda pair: len(needed[pair[0]] & pair[1]) / len(needed[pair[0]] | pair[1]))
    if not needed[model] & names:
        return ""
    both, missing, unexpected = needed[model] & names, sorted(needed[model] - names), sorted(names - needed[model])
    scores = next((state[key] for key in ("score_fr.weight", "classifier.4.weight") if key in state), None)
    classes = f", scores for {len(scores)} classes" if scores is not None and scores.dim() else ""
    return (
        f"the nearest is {model}, with {len(both)} of its {len(needed[model])} names{classes}; "
        f"missing {listed(missing, 1)}; unexpected {listed(unexpected, 1)}"
    )


def check_finite(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Raise CheckpointError naming the first tensor that holds NaN or infinity."""
    for key, value in tensors.items():
        if value.is_floating_point() and value.numel():
            low, high = torch.aminmax(value)  # both are NaN if any element is, and no copy is made
            if not (torch.isfinite(low) and torch.isfinite(high)):
                kind = "NaN" if torch.isnan(low) else "infinite"
                raise CheckpointError(
                    f"{path}: {printable(key)} has {kind} values; take a checkpoint from before they appeared"
                )


def same_kind(tensor: Tensor, needed: Tensor) -> bool:
    """Return whether `tensor` holds floating point where that is needed; a counter may be any number."""
    return tensor.is_floating_point() or not needed.is_floating_point()


def shape(tensor: Tensor) -> str:
    return shape_text(tensor.shape) or "scalar"


def listed(keys: Sequence[str], most: int = LISTED) -> str:
    """Return the first few keys, and how many more there are."""
    more = f" and {len(keys) - most} more" if len(keys) > most else ""
    return printable(", ".join(keys[:most])) + more
