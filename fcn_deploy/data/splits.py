"""Split a data set by a seed, and find images that are in two sets."""

from __future__ import annotations

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
    """
    whole: Dataset = dataset
    indices = list(range(len(dataset)))
    while isinstance(whole, Subset):
        indices = [whole.indices[index] for index in indices]
        whole = whole.whole
    if not isinstance(whole, PairDataset):
        return
    pairs = [[str(resolved(part)) for part in whole.pairs[index] if part is not None] for index in indices]
    write_text(path, "".join("\t".join(parts) + "\n" for parts in pairs))
    write_text(path.parent / FILE_NAME, "".join(f"{entry}\n" for entry in whole.class_list.entries))
