"""Find image and label files in pairs: by a list file, in two parallel folders, or in the layout of Pascal VOC."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fcn_deploy.data.classes import ClassList, LabelRule, read_lines
from fcn_deploy.data.images import SUFFIXES, load_image, load_label
from fcn_deploy.data.sample import Colour, Sample
from fcn_deploy.errors import DataError, LabelError
from fcn_deploy.system.progress import SILENT, Progress

Pair = tuple[Path, Path | None]
_PARTS = re.compile(r'"([^"]*)"|(\S+)')
_SPLITS = Path("ImageSets", "Segmentation")


@dataclass(frozen=True)
class PairDataset:
    """Image files, each with its label file or none."""

    name: str
    pairs: Sequence[Pair]
    class_list: ClassList
    rule: LabelRule

    @property
    def classes(self) -> tuple[str, ...]:
        return self.class_list.names

    @property
    def palette(self) -> tuple[Colour, ...]:
        return self.class_list.palette

    @cached_property
    def _colours(self) -> dict[Colour, int]:
        return self.class_list.colours(self.rule.colour_value)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        """Decode one pair.

        Raises:
            ImageError: a file that cannot be decoded.
            LabelError: a label of another size than its image, or with values outside the classes.
        """
        image_path, label_path = self.pairs[index]
        image = load_image(image_path)
        if label_path is None:
            return Sample(image, None, str(image_path))
        raw = load_label(label_path, self._colours)
        if raw.shape != image.shape[:2]:
            raise LabelError(
                f"{label_path} is {raw.shape[1]} x {raw.shape[0]} and its image {image_path.name} "
                f"{image.shape[1]} x {image.shape[0]} (width x height, EXIF orientation applied); expected one size"
            )
        return Sample(image, self.rule.apply(raw, label_path), str(image_path))


def read_list(path: Path) -> list[Pair]:
    """Read a list file: `image label` a line, or `image` alone on every line, relative to the list's folder.

    Parts are parted by a tab, or else by blanks; paths with blanks need the tab or double quotes. Empty lines and
    lines that start with # are passed over.

    Raises:
        DataError: missing, not text, empty, a malformed line (its number), or none of the images exists.
    """
    pairs: list[Pair] = []
    for number, line in read_lines(path):
        if not line or line.startswith("#"):
            continue
        parts = _parts(line)
        if len(parts) > 2:
            raise DataError(
                f"line {number} of {path} has {len(parts)} parts; expected 'image label' "
                "(put a tab between paths that hold blanks, or quote them)"
            )
        if pairs and (len(parts) == 1) != (pairs[0][1] is None):
            raise DataError(
                f"line {number} of {path} has {len(parts)} of the parts 'image label'; earlier lines differ"
            )
        pairs.append((path.parent / parts[0], path.parent / parts[1] if len(parts) == 2 else None))
    if not pairs:
        raise DataError(f"{path} lists no images; expected one 'image label' pair a line")
    if not any(image.exists() for image, _ in pairs):
        raise DataError(
            f"{path} lists {len(pairs)} images and none exists (first: {pairs[0][0]}); "
            "paths are relative to the list's folder"
        )
    return pairs


def _parts(line: str) -> list[str]:
    if "\t" in line:
        return [part.strip().strip('"') for part in line.split("\t") if part.strip()]
    return [quoted or plain for quoted, plain in _PARTS.findall(line)]


def match_folders(images: Path, labels: Path | None, progress: Progress = SILENT) -> list[Pair]:
    """Pair the image files of two folders by their stems, in the order of names; without `labels`, images alone.

    Files without a partner are left out and told to `progress`.

    Raises:
        DataError: a folder is missing, holds no image file, holds two files of one stem, or no stem is in both.
    """
    image_files = _by_stem(images)
    if labels is None:
        return [(path, None) for path in image_files.values()]
    label_files = _by_stem(labels)
    shared = [stem for stem in image_files if stem in label_files]
    if not shared:
        raise DataError(
            f"no file of {images} has a label of the same name in {labels} "
            f"(for example {next(iter(image_files.values())).name} and {next(iter(label_files.values())).name})"
        )
    _report_unpaired(progress, "label", images, sorted(image_files.keys() - label_files.keys()))
    _report_unpaired(progress, "image", labels, sorted(label_files.keys() - image_files.keys()))
    return [(image_files[stem], label_files[stem]) for stem in shared]


def _by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder" if folder.exists() else f"{folder} does not exist")
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
            continue
        if path.stem in files:
            raise DataError(f"{folder} holds {files[path.stem].name} and {path.name}; expected one file a name")
        files[path.stem] = path
    if not files:
        raise DataError(f"{folder} holds no image files ({', '.join(sorted(SUFFIXES))})")
    return files


def _report_unpaired(progress: Progress, missing: str, folder: Path, stems: Sequence[str]) -> None:
    if stems:
        more = ", ..." if len(stems) > 3 else ""
        progress.say(
            f"{len(stems)} files of {folder} have no {missing} and are left out ({', '.join(stems[:3])}{more})"
        )


def find_voc_root(folder: Path) -> Path | None:
    """Return `folder` itself or the one year folder below it (VOCdevkit, VOCdevkit/VOC2012) that has VOC's layout.

    None if there is none. With several years below, the latest.
    """
    below = sorted(folder.glob("VOC*"), reverse=True) + sorted(folder.glob("VOCdevkit/VOC*"), reverse=True)
    return next((root for root in [folder, *below] if (root / _SPLITS).is_dir()), None)


def read_voc_split(root: Path, split: str) -> list[Pair]:
    """Return the files of each name in ImageSets/Segmentation/<split>.txt, from JPEGImages and SegmentationClass.

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
