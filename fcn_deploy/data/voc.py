"""Read the Pascal VOC layout: JPEGImages, SegmentationClass, ImageSets/Segmentation/<split>.txt."""

from __future__ import annotations

from pathlib import Path

from fcn_deploy.data.classes import read_lines
from fcn_deploy.data.pairs import Pair
from fcn_deploy.errors import DataError

_SPLITS = Path("ImageSets", "Segmentation")


def find_root(folder: Path) -> Path | None:
    """Return `folder` itself or the one year folder below it (VOCdevkit, VOCdevkit/VOC2012) that has VOC's layout.

    None if there is none. With several years below, the latest.
    """
    below = sorted(folder.glob("VOC*"), reverse=True) + sorted(folder.glob("VOCdevkit/VOC*"), reverse=True)
    return next((root for root in [folder, *below] if (root / _SPLITS).is_dir()), None)


def read_split(root: Path, split: str) -> list[Pair]:
    """Return the image and label file of each name that a split lists.

    Raises:
        DataError: no such split (the message names those there are), or it is empty.
    """
    path = root / _SPLITS / f"{split}.txt"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in (root / _SPLITS).glob("*.txt"))) or "none"
        raise DataError(f"{root} has no split '{split}' (found: {known})")
    names = [line for _, line in read_lines(path) if line]
    if not names:
        raise DataError(f"{path} lists no images")
    return [(root / "JPEGImages" / f"{name}.jpg", root / "SegmentationClass" / f"{name}.png") for name in names]
