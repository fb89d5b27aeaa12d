"""Split a data set by a seed, and find images that are in two sets."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from fcn_deploy.data.classes import FILE_NAME
from fcn_deploy.data.pairs import PairDataset
from fcn_deploy.data.sample import Dataset, Subset
from fcn_deploy.data.synthetic.dataset import SyntheticDataset
from fcn_deploy.errors import DataError
from fcn_deploy.system.files import resolved, write_text


def share_of(text: str) -> float | None:
    """Return 0.2 for "0.2", None for what is no number and names a data set; DataError for a number out of range."""
    try:
        share = float(text)
    except ValueError:
        return None
    if not 0 < share < 1:
        raise DataError(f"{text} is no share of the images; expected more than 0 and less than 1, such as 0.2")
    return share


def split_off(dataset: Dataset, share: float, seed: int) -> tuple[Dataset, Dataset]:
    """Split into the images to train on and a share to validate on, drawn by the seed, both in their order.

    Raises:
        DataError: fewer than two images.
    """
    count = len(dataset)
    if count < 2:
        raise DataError(f"{dataset.name} has {count} image; expected at least 2 to keep some for validation")
    kept = min(count - 1, max(1, round(share * count)))
    order = np.random.default_rng(seed).permutation(count).tolist()
    train, val = Subset(dataset, sorted(order[kept:])), Subset(dataset, sorted(order[:kept]))
    val.name = f"{dataset.name} ({kept} of {count} images)"
    return train, val


def in_both(train: Dataset, val: Dataset) -> int:
    """Count the images of `val` that are in `train` too, by their paths; 0 where the paths do not show it."""
    known = set(_identities(train))
    return sum(name in known for name in _identities(val))


def _identities(dataset: Dataset) -> list[str]:
    if isinstance(dataset, Subset):
        own = _identities(dataset.whole)
        return [own[index] for index in dataset.indices] if own else []
    if isinstance(dataset, PairDataset):
        return [str(resolved(image)) for image, _ in dataset.pairs]
    if isinstance(dataset, SyntheticDataset):
        return [f"{dataset.seed}:{index}:{dataset.size}" for index in range(len(dataset))]
    return []


def write_list(dataset: Dataset, path: Path) -> None:
    """Write the pairs of files and, next to the list, their classes, so that it opens as the same set.

    Nothing is written for a set that is not made of files.

    Raises:
        DataError: as for `list_text`.
    """
    whole, _ = _files(dataset)
    if whole is not None:
        write_text(path, list_text(dataset))
        write_text(path.parent / FILE_NAME, "".join(f"{entry}\n" for entry in whole.class_list.entries))


def list_text(dataset: Dataset) -> str:
    """Return a list of the pairs of files, by their whole paths; "" for a set that is not made of files.

    Raises:
        DataError: a path that no list can hold.
    """
    whole, indices = _files(dataset)
    pairs = () if whole is None else [whole.pairs[index] for index in indices]
    return "".join("\t".join(_listed(part) for part in pair if part is not None) + "\n" for pair in pairs)


def _files(dataset: Dataset) -> tuple[PairDataset | None, list[int]]:
    """Return the set of files behind a set and the indices of its pairs; None for one that is not made of files."""
    whole: Dataset = dataset
    indices = list(range(len(dataset)))
    while isinstance(whole, Subset):
        indices = [whole.indices[index] for index in indices]
        whole = whole.whole
    return (whole if isinstance(whole, PairDataset) else None), indices


def _listed(path: Path) -> str:
    """Return the whole path of a file, quoted if it has blanks."""
    name = str(resolved(path))
    if re.search(r'[\t\n\r"]', name):
        raise DataError(
            f"the path {name} has a tab, a quotation mark or a line break, which no list can hold; rename it"
        )
    return f'"{name}"' if re.search(r"\s", name) else name
