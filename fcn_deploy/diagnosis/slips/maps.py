"""Read the label maps of another program, and find the image that each belongs to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcn_deploy.data.dataset import Dataset
from fcn_deploy.data.images import load_label
from fcn_deploy.data.pairs import PairDataset
from fcn_deploy.data.sample import Colour, Subset
from fcn_deploy.errors import DataError, LabelError
from fcn_deploy.system.files import require_plain
from fcn_deploy.system.formatting import count, some
from fcn_deploy.system.progress import Progress

ARRAY = ".npy"
MOST_TIMES = 256  # pixels of a label map, in those of its image: 16 times its sides
SUFFIXES = (".png", ".bmp", ".tif", ".tiff", ".gif", ".pgm", ".webp", ARRAY)


@dataclass(frozen=True)
class ForeignMaps:
    """The label maps of a folder, and how their colours are read.

    Attributes:
        paths: the map of each image, by the image's name.
        colours: label of each RGB triple; empty where none is known.
    """

    paths: Mapping[str, Path]
    colours: Mapping[Colour, int]

    def read(self, image: str, pixels: int) -> NDArray[Any]:
        """Return integer[h, w] of the image of this name and number of pixels, as it is in the file.

        Raises:
            ImageError: the file cannot be decoded.
            LabelError: it holds no labels, colours that are not known, or more than `MOST_TIMES` those pixels.
        """
        path = self.paths[image]

        def check(own: int) -> None:
            if own > MOST_TIMES * pixels:
                raise LabelError(
                    f"{path} has {own:,} pixels and its image {pixels:,}; expected at most {MOST_TIMES} times as many"
                )

        if path.suffix.lower() == ARRAY:
            return _array(path, check)
        return _coded(path, self.colours, lambda header: check(header.width * header.height))


def find_maps(
    dataset: Dataset, labels_from: Path, suffix: str | None, colours: Mapping[Colour, int], progress: Progress
) -> ForeignMaps:
    """Find the label map of each image: the file of its name, or of its name and `suffix`.

    Args:
        labels_from: a folder, whose subfolders count too, or one file.
        suffix: what follows an image's name in the name of its label map; None finds it.
        progress: gets what was chosen, and how many images have no label map.

    Raises:
        DataError: there is none.
    """
    files = _files(labels_from)
    names = image_names(dataset)
    if labels_from.is_file() and len(names) == 1:
        return ForeignMaps({names[0]: labels_from}, colours)
    stems = [Path(name).stem for name in names]
    behind = _common_suffix(stems, files) if suffix is None else suffix
    if behind and suffix is None:
        progress.say(f"the label map of NAME is NAME{behind} in {labels_from} (--label-suffix changes that)")
    found = {
        name: _nearest_folder(files[f"{stem}{behind}"], Path(name))
        for stem, name in zip(stems, names, strict=True)
        if f"{stem}{behind}" in files
    }
    if not found:
        raise DataError(
            f"no label map in {labels_from} is named as one of the {len(dataset)} images of {dataset.name} (there is "
            f"{next(iter(files.values()))[0].name}, and the first image is {names[0]}); expected frame1.png for "
            "frame1.jpg, or --label-suffix"
        )
    missing = [name for name in names if name not in found]
    if missing:
        absent = some([Path(name).name for name in missing], 3)
        progress.say(f"{count(len(missing), 'image')} of {len(names)} without a label map: {absent}")
    return ForeignMaps(found, colours)


def image_names(dataset: Dataset) -> list[str]:
    """Return what each image is called; no file is decoded."""
    if isinstance(dataset, PairDataset):
        return [str(image) for image, _ in dataset.pairs]
    if isinstance(dataset, Subset):
        whole = image_names(dataset.whole)
        return [whole[index] for index in dataset.indices]
    return [dataset[index].name for index in range(len(dataset))]


def _files(labels_from: Path) -> dict[str, list[Path]]:
    """Return the label maps by their stems; DataError where there is none."""
    if labels_from.is_file():
        return {labels_from.stem: [labels_from]}
    if not labels_from.is_dir():
        raise DataError(f"{labels_from} is no folder; expected the folder of the other program's label maps")
    found: dict[str, list[Path]] = {}
    for path in sorted(labels_from.rglob("*")):
        if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
            found.setdefault(path.stem, []).append(path)
    if not found:
        raise DataError(f"{labels_from} holds no label map; expected {', '.join(SUFFIXES)}, named as the images are")
    return found


def _common_suffix(stems: Sequence[str], files: Mapping[str, object]) -> str:
    """Return what follows the images' names in most of the label maps' names; "" if nothing does."""
    behind = Counter(_rests(stems, files))
    return behind.most_common(1)[0][0] if behind and not any(stem in files for stem in stems) else ""


def _rests(stems: Sequence[str], files: Mapping[str, object]) -> Iterator[str]:
    ordered = sorted(set(stems), key=len, reverse=True)
    for name in files:
        stem = next((stem for stem in ordered if stem and name.startswith(stem)), None)
        if stem is not None:
            yield name[len(stem) :]


def _nearest_folder(paths: Sequence[Path], image: Path) -> Path:
    """Return the path that ends in the most folders of the image's; of several, the first."""

    def shared(path: Path) -> int:
        own, other = path.parent.parts[::-1], image.parent.parts[::-1]
        return next((n for n, (a, b) in enumerate(zip(own, other, strict=False)) if a != b), min(len(own), len(other)))

    return max(paths, key=shared)


def _array(path: Path, check: Callable[[int], None]) -> NDArray[Any]:
    try:
        header: NDArray[Any] = np.load(require_plain(path), mmap_mode="r", allow_pickle=False)
        check(header.size)
        found = np.array(header)
    except (OSError, ValueError, EOFError) as error:
        raise LabelError(f"{path} cannot be read as an array: {error}") from error
    found = found[0] if found.ndim == 3 and len(found) == 1 else found
    if found.ndim != 2 or found.dtype.kind not in "iu" or not found.size:
        raise LabelError(f"{path} is {found.dtype} {list(found.shape)}; expected integers [H, W]")
    return found


def _coded(path: Path, colours: Mapping[Colour, int], check: Callable[[Image.Image], None]) -> NDArray[Any]:
    """Return the labels of an image file; colours may be in the order BGR too, as OpenCV writes an RGB array."""
    try:
        return load_label(path, colours or None, check=check)
    except LabelError as error:
        turned = {(blue, green, red): label for (red, green, blue), label in colours.items()}
        if turned == colours or "colour" not in str(error):
            raise
        try:
            return load_label(path, turned, check=check)
        except LabelError:
            raise error from None
