"""Identify the model of a file's tensors: by the card inside, or by the convention of its keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from fcn_deploy.card import CARD_KEY, CLASSES_NOTE, GUESSED, ModelCard, class_names, numbered_classes, voc_palette
from fcn_deploy.errors import CheckpointError, RecipeError
from fcn_deploy.models.check import listed
from fcn_deploy.models.conventions import Convention, known_names, recognise
from fcn_deploy.models.registry import entry, new_card
from fcn_deploy.models.weights_file import Weights
from fcn_deploy.system.progress import SILENT, Progress


def convention_of(tensors: dict[str, Tensor], path: Path) -> Convention:
    """Return the convention of a file's keys; CheckpointError with what was found if there is none."""
    convention = recognise(tensors)
    if convention is None:
        found = listed(list(tensors))
        raise CheckpointError(f"{path} follows no known convention: it has {found}; known: {known_names()}")
    return convention


def open_weights(
    weights: Weights,
    path: Path,
    model: str | None,
    classes: Sequence[str] | None,
    progress: Progress = SILENT,
) -> tuple[ModelCard, dict[str, Tensor]]:
    """Return the card, and the tensors under the names of the card's model; `progress` reports a choice that was made.

    Raises:
        CheckpointError: not recognised, no segmentation net, or not what `model` and `classes` say.
    """
    if CARD_KEY in weights.metadata:
        return with_requested_names(_own_card(weights, path), path, model, classes), weights.tensors
    card, tensors = _card_by_keys(weights.tensors, path, model, classes, progress)
    return card if classes is None else _with_classes(card, classes, path), tensors


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


def _own_card(weights: Weights, path: Path) -> ModelCard:
    try:
        return ModelCard.from_json(weights.metadata[CARD_KEY], path)
    except RecipeError as error:
        raise CheckpointError(str(error)) from error


def _card_by_keys(
    tensors: dict[str, Tensor], path: Path, model: str | None, classes: Sequence[str] | None, progress: Progress
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
    if model is None and len(models) > 1:
        progress.say(f"{path} may be {' or '.join(models)}: read as {models[0]}; --model says which it is")
    names = numbered_classes(convention.num_classes(tensors, default=len(classes or ())))
    card = new_card(model or models[0], names, **convention.family.options(tensors))
    return replace(card, notes={"source": f"{path.name}, {convention.name}", CLASSES_NOTE: GUESSED}), tensors


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
