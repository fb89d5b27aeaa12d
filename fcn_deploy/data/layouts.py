"""Find image and label files in pairs: in two folders or one, and in the layouts that tools and data sets have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fcn_deploy.card import VOC_CLASSES
from fcn_deploy.data import cityscapes
from fcn_deploy.data.classes import ClassList, read_lines
from fcn_deploy.data.images import SUFFIXES
from fcn_deploy.data.pairs import Pair, read_list
from fcn_deploy.errors import DataError
from fcn_deploy.system.files import resolved
from fcn_deploy.system.progress import SILENT, Progress

_SPLITS = Path("ImageSets", "Segmentation")
_VOC_LABELS = ("SegmentationClassPNG", "SegmentationClass")  # labelme's, whose SegmentationClass may hold .npy; VOC's
_ROBOFLOW = "_classes.csv"
# What may follow an image's name in the name of its label map; of several, the one with the most pairs is taken.
_LABEL_SUFFIXES = ("", "_mask", "_label", "_labels", "_seg", "_segmentation", "_gt", "_L", *cityscapes.LABEL_SUFFIXES)


@dataclass(frozen=True)
class Found:
    """What a source turned out to hold.

    Attributes:
        folders: where a file of class names may be.
        classes: the classes where no file names them.
        values, void: the values of `classes` in the label files, and the unlabelled ones; None for 0, 1, 2, ...
    """

    pairs: list[Pair]
    folders: list[Path]
    classes: ClassList | None = None
    values: tuple[int, ...] | None = None
    void: tuple[int, ...] = ()

    @property
    def labelled(self) -> bool:
        return self.pairs[0][1] is not None


def find_pairs(source: Path, labels: Path | None, suffix: str | None, split: str, progress: Progress = SILENT) -> Found:
    """Find the pairs of a list, an image, a folder, two folders, or a data set's root.

    Args:
        labels: the folder of label maps where `source` is a folder of images; the label map of one image.
        suffix: what follows an image's name in the name of its label map; None finds it.
        split: which list of a VOC root, or which folder of Cityscapes' or Roboflow's layout.

    Raises:
        DataError: nothing there, no pair, a malformed list, or labels for what has its own.
    """
    if source.is_file() and source.suffix.lower() in SUFFIXES:
        return Found([(source, labels)], [source.parent])
    if source.is_file():
        refuse_labels(labels, f"{source} is a list, which names the label of each image itself")
        return Found(read_list(source), [source.parent])
    if labels is None and (known := _known_layout(source, suffix, split, progress)) is not None:
        return known
    return match_folders(source, labels, suffix, progress)


def refuse_labels(labels: str | Path | None, why: str) -> None:
    """Raise DataError if there are `labels`, which belong to a folder of images alone."""
    if labels is not None:
        raise DataError(
            f"{labels} would not be looked at: a folder of labels goes with a folder of images, and {why}; leave it out"
        )


def _known_layout(source: Path, suffix: str | None, split: str, progress: Progress) -> Found | None:
    root = find_voc_root(source)
    if root is not None:
        return Found(read_voc_split(root, split, progress), [root], ClassList.of(VOC_CLASSES))
    if (source / "JPEGImages").is_dir() and (masks := _voc_labels(source)).is_dir():
        return match_folders(source / "JPEGImages", masks, suffix, progress)
    for kind in ("gtFine", "gtCoarse"):
        images, masks = source / "leftImg8bit" / split, source / kind / split
        if images.is_dir() and masks.is_dir():
            return match_folders(images, masks, suffix, progress)
    folders = [source, source / split, *([source / "valid"] if split == "val" else [])]
    own = next((folder for folder in folders if (folder / _ROBOFLOW).is_file()), None)
    if own is None and suffix is None:
        return None
    return match_folders(own or source, own or source, suffix, progress)


def match_folders(images: Path, labels: Path | None, suffix: str | None = None, progress: Progress = SILENT) -> Found:
    """Pair the image files of two folders by their names, in the order of names; without `labels`, images alone.

    In a folder without images those of its subfolders count, and both files must be in the same subfolder. `images` and
    `labels` may be one folder. Files without a partner are left out and reported to `progress`.

    Raises:
        DataError: a folder is missing, holds no image file, holds two files of one name, or there is no pair.
    """
    image_files = _by_name(images)
    folders = [images, images.parent, *([] if labels is None else [labels, labels.parent])]
    if labels is None:
        return Found([(path, None) for path in image_files.values()], folders)
    label_files = _by_name(labels)
    keys = {_without(key, cityscapes.IMAGE_SUFFIX): key for key in image_files}
    one_folder = resolved(images) == resolved(labels)
    suffixes = [suffix] if suffix is not None else [each for each in _LABEL_SUFFIXES if each or not one_folder]
    counts = [sum(f"{key}{each}" in label_files for key in keys) for each in suffixes]
    if not any(counts):
        raise DataError(_no_pair(images, labels, suffix, image_files, label_files))
    chosen = suffixes[counts.index(max(counts))]
    if chosen and suffix is None:
        progress.say(f"the label map of NAME is NAME{chosen} in {labels} (--label-suffix changes that)")
    named = {_without(key, chosen): key for key in label_files if key.endswith(chosen)}
    if one_folder:
        keys = {short: key for short, key in keys.items() if not key.endswith(chosen)}
    _report_unpaired(progress, "label", images, sorted(keys.keys() - named.keys()))
    _report_unpaired(progress, "image", labels, sorted(named.keys() - keys.keys()))
    pairs: list[Pair] = [(image_files[keys[key]], label_files[named[key]]) for key in keys if key in named]
    if chosen not in cityscapes.LABEL_SUFFIXES:
        return Found(pairs, folders)
    ids = (cityscapes.IDS, cityscapes.VOID_IDS) if chosen.endswith("_labelIds") else (None, ())
    return Found(pairs, folders, cityscapes.CLASSES, *ids)


def _without(key: str, suffix: str) -> str:
    return key[: len(key) - len(suffix)] if suffix and key.endswith(suffix) else key


def _no_pair(
    images: Path, labels: Path, suffix: str | None, image_files: Mapping[str, Path], label_files: Mapping[str, Path]
) -> str:
    examples = f"for example {next(iter(image_files.values())).name} and {next(iter(label_files.values())).name}"
    wanted = "of the same name" if suffix is None else f"of its name and '{suffix}'"
    return (
        f"no file of {images} has a label {wanted} in {labels} ({examples}); --label-suffix says what follows the "
        "image's name, such as _mask"
    )


def _by_name(folder: Path) -> dict[str, Path]:
    """Return the image files by their path in the folder, without the suffix."""
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder" if folder.exists() else f"{folder} does not exist")
    found = _images(folder.iterdir()) or _images(folder.rglob("*"))
    files: dict[str, Path] = {}
    for path in found:
        key = path.relative_to(folder).with_suffix("").as_posix()
        if key in files:
            raise DataError(f"{folder} holds {files[key].name} and {path.name}; expected one file a name")
        files[key] = path
    if not files:
        raise DataError(f"{folder} holds no image files ({', '.join(sorted(SUFFIXES))})")
    return files


def _images(paths: Iterable[Path]) -> list[Path]:
    return sorted(path for path in paths if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))


def _report_unpaired(progress: Progress, missing: str, folder: Path, names: Sequence[str]) -> None:
    if names:
        more = ", ..." if len(names) > 3 else ""
        progress.say(
            f"{len(names)} files of {folder} have no {missing} and are left out ({', '.join(names[:3])}{more})"
        )


def find_voc_root(folder: Path) -> Path | None:
    """Return `folder` itself or the one year folder below it (VOCdevkit, VOCdevkit/VOC2012) that has VOC's layout.

    None if there is none. With several years below, the latest.
    """
    below = sorted(folder.glob("VOC*"), reverse=True) + sorted(folder.glob("VOCdevkit/VOC*"), reverse=True)
    return next((root for root in [folder, *below] if (root / _SPLITS).is_dir()), None)


def read_voc_split(root: Path, split: str, progress: Progress = SILENT) -> list[Pair]:
    """Return the files of each name in ImageSets/Segmentation/<split>.txt, from JPEGImages and SegmentationClass.

    Where there is one list only, as CVAT's "default", it is taken for every split.

    Raises:
        DataError: no such split (the message names those there are), or it is empty.
    """
    path = root / _SPLITS / f"{split}.txt"
    if not path.is_file():
        lists = sorted((root / _SPLITS).glob("*.txt"))
        if len(lists) != 1:
            known = ", ".join(file.stem for file in lists) or "none"
            raise DataError(f"{root} has no split '{split}' (found: {known})")
        path = lists[0]
        progress.say(f"{root} has no split '{split}'; its only one, '{path.stem}', is taken")
    names = [line for _, line in read_lines(path, stream=False, names=True) if line]
    if not names:
        raise DataError(f"{path} lists no images")
    masks = _voc_labels(root)
    return [(_voc_image(root / "JPEGImages", name), masks / f"{name}.png") for name in names]


def _voc_labels(root: Path) -> Path:
    return next((root / name for name in _VOC_LABELS if (root / name).is_dir()), root / _VOC_LABELS[-1])


def _voc_image(folder: Path, name: str) -> Path:
    usual = folder / f"{name}.jpg"
    if usual.is_file():
        return usual
    return next((path for suffix in sorted(SUFFIXES) if (path := folder / f"{name}{suffix}").is_file()), usual)
