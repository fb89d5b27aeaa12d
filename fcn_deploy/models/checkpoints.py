"""Load any recognised checkpoint with its model card, check that it fits, and write our own.

The model of a file's tensors is identified by the card inside, or by the convention of its keys.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from fcn_deploy.card import CARD_KEY, CLASSES_NOTE, GUESSED, ModelCard, class_names, numbered_classes, voc_palette
from fcn_deploy.errors import CheckpointError, RecipeError, UnknownNameError, restated
from fcn_deploy.models.conventions import CONVENTIONS, Convention, recognise
from fcn_deploy.models.fit import check_finite, check_fit, listed, nearest
from fcn_deploy.models.one_class import BACKGROUND, as_two_classes
from fcn_deploy.models.registry import MODELS, build, entry, new_card
from fcn_deploy.models.state_dicts import said_architecture, state_dict_of
from fcn_deploy.models.weights_file import Weights, printable, read_weights
from fcn_deploy.system.files import atomic_path
from fcn_deploy.system.progress import SILENT, Progress


def load_checkpoint(
    path: Path,
    model: str | None = None,
    classes: Sequence[str] | None = None,
    weights: str | None = None,
    progress: Progress = SILENT,
) -> tuple[nn.Module, ModelCard]:
    """Load the network of a checkpoint file, in evaluation mode, on the CPU, and its card; see `load_network`.

    Raises:
        UnknownNameError: no model is named `model`.
        CheckpointError: the file cannot be read, is not recognised, or does not fit `model` or `classes`.
    """
    if model is not None:
        entry(model)  # report a mistyped name before a large file is read
    card, tensors = open_weights(read_weights(path), path, model, classes, weights, progress)
    with restated(CheckpointError, RecipeError, UnknownNameError, prefix=f"{path}: "), torch.device("meta"):
        network = build(card)  # without memory: no time goes into initial weights that are then replaced
    check_fit(network, card.model, tensors, path)
    check_finite(tensors, path)
    network.load_state_dict(tensors, assign=True)  # the tensors themselves, not copies
    return network, card


def save_model(path: Path, model: nn.Module, card: ModelCard) -> None:
    """Write the weights of `model` with `card` inside, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, {CARD_KEY: card.to_json()})


def convention_of(tensors: dict[str, Tensor], path: Path) -> Convention:
    """Return the convention of a file's keys; CheckpointError with what was found if there is none."""
    convention = recognise(tensors)
    if convention is None:
        known = nearest(tensors) or f"known: {'; '.join(convention.name for convention in CONVENTIONS)}"
        raise CheckpointError(f"{path} follows no known convention: it has {listed(list(tensors))}; {known}")
    return convention


def open_weights(
    held: Weights,
    path: Path,
    model: str | None,
    classes: Sequence[str] | None,
    weights: str | None = None,
    progress: Progress = SILENT,
) -> tuple[ModelCard, dict[str, Tensor]]:
    """Return the card, and the tensors under the names of the card's model; `progress` reports a choice that was made.

    Args:
        weights: which of several state dicts, as for `state_dict_of`.

    Raises:
        CheckpointError: not recognised, no segmentation net, of one class, or not what `model` and `classes` say.
    """
    if CARD_KEY in held.metadata:
        with restated(CheckpointError, RecipeError):
            card = ModelCard.from_json(held.metadata[CARD_KEY], path)
        if card.num_classes == 1:
            only = card.classes[0]
            raise CheckpointError(
                f"{path} has one class, {only}, so every pixel would get label 0; expected 2 or more: "
                f"train again with --classes background,{only}"
            )
        return with_requested_names(card, path, model, classes), state_dict_of(held, path)
    tensors = state_dict_of(held, path, weights, progress)
    return _card_by_keys(tensors, path, model, classes, said_architecture(held), progress)


def with_requested_names(card: ModelCard, path: Path, model: str | None, classes: Sequence[str] | None) -> ModelCard:
    """Return the card inside a file under the names that the user gave for its classes.

    Raises:
        UnknownNameError: no model is named `model`.
        CheckpointError: the file holds another model, or not so many classes.
    """
    if model is not None:
        entry(model)
        _check_model(model, (card.model,), path, f"our own {card.model}")
    return card if classes is None else _with_classes(card, classes, path)


def _card_by_keys(
    tensors: dict[str, Tensor],
    path: Path,
    model: str | None,
    classes: Sequence[str] | None,
    said: str,
    progress: Progress,
) -> tuple[ModelCard, dict[str, Tensor]]:
    convention = convention_of(tensors, path)
    if convention.family is None:
        raise CheckpointError(
            f"{path} is a classifier, {convention.name}: it has no segmentation head; "
            f"train one from it with `fcn-deploy train --init {path}`"
        )
    tensors = convention.translate(tensors)
    models = convention.family.models(tensors)
    _check_model(model, models, path, convention.name)
    chosen = _model_said(model, said, models, path, progress)
    count = convention.num_classes(tensors, default=len(classes or ()))
    tensors = _without_other_head(tensors, count, path, progress)
    if count == 1:
        tensors, count = as_two_classes(tensors), 2
        classes = (BACKGROUND, *classes) if classes is not None and len(classes) == 1 else classes
        progress.say(f"{path} has one score per pixel: read as two classes, the second where its sigmoid is above 0.5")
    card = new_card(chosen, numbered_classes(count), **convention.family.options(tensors))
    card = replace(card, notes={"source": f"{path.name}, {convention.name}", CLASSES_NOTE: GUESSED})
    return card if classes is None else _with_classes(card, classes, path), tensors


def _model_said(model: str | None, said: str, models: Sequence[str], path: Path, progress: Progress) -> str:
    """Return which of `models`, all of the same keys, a file holds: `model`, else what its training script stored.

    Raises:
        CheckpointError: the script stored another network's name, or no option says which it is.
    """
    by_name = {_plain(name): name for name in (*MODELS, *models)}
    stored = by_name.get(_plain(said))
    if stored is not None and stored not in models:
        raise CheckpointError(f"{path} calls itself {printable(said)}, but holds the keys of {' or '.join(models)}")
    if model is not None and stored not in (None, model):
        progress.say(f"{path} calls itself {printable(said)}: read as {model}, as was asked for")
    if not (model or stored) and len(models) > 1:
        raise CheckpointError(
            f"{path} may be {' or '.join(models)}: they have the same keys and give other labels; "
            f"choose with --model {models[0]}, or with `model` in a recipe"
        )
    return model or stored or models[0]


def _without_other_head(tensors: dict[str, Tensor], classes: int, path: Path, progress: Progress) -> dict[str, Tensor]:
    """Leave out an auxiliary head of another class count, which a new head next to it leaves behind."""
    scores = tensors.get("aux_classifier.4.weight")
    if scores is None or scores.shape[:1] == (classes,):
        return tensors
    progress.say(
        f"{path}: left out the auxiliary head, which has {scores.shape[0]} classes where the head has {classes}; "
        "labels do not depend on it"
    )
    return {key: value for key, value in tensors.items() if not key.startswith("aux_classifier.")}


def _plain(name: str) -> str:
    """Return a network's name as training scripts have it too: FCN8sAtOnce, fcn_resnet50."""
    return re.sub(r"[^a-z0-9]|caffe", "", name.lower())


def _check_model(model: str | None, held: Sequence[str], path: Path, what: str) -> None:
    if model is not None and model not in held:
        raise CheckpointError(f"{path} holds {' or '.join(held)} ({what}), not {model}")


def _with_classes(card: ModelCard, classes: Sequence[str], path: Path) -> ModelCard:
    if len(classes) != card.num_classes:
        raise CheckpointError(f"{path} has scores for {card.num_classes} classes, but {len(classes)} names were given")
    names = class_names(classes)
    palette = card.palette if names == card.classes else voc_palette(card.num_classes)
    notes = {key: value for key, value in card.notes.items() if key != CLASSES_NOTE}
    return replace(card, classes=names, palette=palette, notes=notes)
