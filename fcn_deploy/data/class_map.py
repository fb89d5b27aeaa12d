"""Turn the classes of a data set into those of a model: `--map`, a TOML file of `"its class" = "the model's class"`.

A table `[model]` has the model's classes that count as another one of it, as a data set without trucks calls them cars.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fcn_deploy.card import ignore_index_for, voc_palette
from fcn_deploy.data.sample import Dataset, LabelPair, Sample, Subset
from fcn_deploy.errors import DataError, did_you_mean
from fcn_deploy.system.serialization.toml import read_toml


def read_class_map(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Read the map of the data's classes, where "" means unlabelled, and that of the model's.

    Raises:
        DataError: missing, no TOML, or anything but texts.
    """
    try:
        raw = read_toml(path)
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as TOML ({getattr(error, 'strerror', None) or error})") from error
    model = raw.pop("model") if isinstance(raw.get("model"), dict) else {}
    if not (raw or model) or not all(isinstance(value, str) for value in (*raw.values(), *model.values())):
        raise DataError(f'{path} must have lines of the form "class of the data set" = "class of the model"')
    return raw, model


class Mapped(Subset):
    """A data set with the classes that its own become."""

    def __init__(
        self, whole: Dataset, table: Sequence[int | None], classes: Sequence[str], merged: Mapping[int, int]
    ) -> None:
        """Map class i of `whole` to the label `table[i]` of `classes`, or to unlabelled where that is None.

        Args:
            merged: labels of a model that count as another one.
        """
        super().__init__(whole, range(len(whole)))
        void = ignore_index_for(len(classes))
        # Of the labels of `whole`, 255 and -1 (the last entry) are unlabelled.
        self._labels = np.full(max(len(table), 255) + 1, void, np.uint8 if void == 255 else np.int32)
        for own, label in enumerate(table):
            self._labels[own] = void if label is None else label
        self._merged = None if not merged else np.arange(len(classes)).astype(self._labels.dtype)
        for label, other in merged.items():
            self._merged[label] = other  # type: ignore[index]
        self.classes = tuple(classes)
        colours = list(voc_palette(len(classes)))
        for colour, label in zip(reversed(whole.palette), reversed(table), strict=True):
            if label is not None:
                colours[label] = colour
        self.palette = tuple(colours)

    def __getitem__(self, index: int) -> Sample:
        sample = super().__getitem__(index)
        return (
            sample if sample.label is None else replace(sample, label=self._labels[sample.label], merged=self._merged)
        )

    def read_label(self, index: int) -> LabelPair | None:
        found = super().read_label(index)
        return None if found is None else (found[0], self._labels[found[1]])


def with_map(dataset: Dataset, path: Path, classes: Sequence[str] | None) -> Dataset:
    """Return the data set with the classes of the map.

    Args:
        classes: those of the model, which the map must name; None takes them from the map, in its order.

    A class that the map leaves out keeps its name, if that is a class of the model.

    Raises:
        DataError: the map cannot be read, or names a class that the data set or the model does not have, or leaves one
            out that the model does not have.
    """
    given, model = read_class_map(path)
    if model and classes is None:
        raise DataError(f"{path} has a table [model], and there is no model whose classes it could mean; leave it out")
    own = _by_name(dataset.classes, f"{dataset.name} has")
    if unknown := next((name for name in given if _plain(name) not in own), None):
        raise DataError(
            f"{path} maps '{unknown}', which is no class of {dataset.name}{_near(unknown, dataset.classes)}"
        )
    named = {key: given[name] for key, name in _by_name(given, f"{path} has").items()}
    targets = tuple(classes or dict.fromkeys(value for value in given.values() if value))
    whose = "the model has" if classes else f"{path} has the classes"
    places = {key: label for label, key in enumerate(_by_name(targets, whose))}
    table = [_label(name, named.get(_plain(name), name), places, path, targets) for name in dataset.classes]
    merged = _merged(model, places, path, targets)
    for label in (*table, *merged.values()):
        if label is not None and merged.get(label, label) != label:
            raise DataError(
                f"{path} has pixels become '{targets[label]}', which [model] counts as '{targets[merged[label]]}'; "
                "name that one in its place"
            )
    return Mapped(dataset, table, targets, merged)


def _by_name(names: Iterable[str], whose: str) -> dict[str, str]:
    """Return the names by what they are compared as; DataError if two are the same then."""
    found: dict[str, str] = {}
    for name in names:
        if found.setdefault(_plain(name), name) != name:
            raise DataError(f"{whose} '{found[_plain(name)]}' and '{name}', and a map takes them for one; rename one")
    return found


def _merged(model: Mapping[str, str], places: Mapping[str, int], path: Path, targets: Sequence[str]) -> dict[int, int]:
    _by_name(model, f"{path} has in [model]")
    for name in (*model, *model.values()):
        if _plain(name) not in places:
            raise DataError(f"{path} has '{name}' in [model], which is no class of the model{_near(name, targets)}")
    return {places[_plain(name)]: places[_plain(value)] for name, value in model.items()}


def _label(name: str, value: str, places: Mapping[str, int], path: Path, targets: Sequence[str]) -> int | None:
    if not value:
        return None
    if _plain(value) not in places:
        said = f"maps '{name}' to '{value}'" if value != name else f"leaves out '{name}'"
        raise DataError(
            f'{path} {said}, which is no class of the model{_near(value, targets)}; name one, or "" for unlabelled'
        )
    return places[_plain(value)]


def _near(name: str, known: Sequence[str]) -> str:
    return did_you_mean(name, known).rstrip("?") or f" ({', '.join(known[:5])}{', ...' if len(known) > 5 else ''})"


def _plain(name: str) -> str:
    return name.strip().casefold()
