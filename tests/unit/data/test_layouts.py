"""Pairs and classes are found in the layouts that tools and data sets have."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from fcn_deploy.card import VOC_CLASSES
from fcn_deploy.data.cityscapes import CLASSES as CITYSCAPES
from fcn_deploy.data.dataset import open_dataset
from fcn_deploy.errors import DataError
from tests.support.masks import write_masks
from tests.support.recorded_progress import RecordedProgress

POLYP = ("background", "polyp")


def values(dataset):
    return [sorted(np.unique(dataset[index].label).tolist()) for index in range(len(dataset))]


@pytest.mark.parametrize("suffix", ["_mask", "_label", "_segmentation", "_L"])
def test_the_usual_suffixes_of_masks_are_found_and_said(tmp_path, suffix):
    write_masks(tmp_path, name=lambda index: (f"images/{index}.jpg", f"masks/{index}{suffix}.gif"))
    notes = RecordedProgress()
    dataset = open_dataset(str(tmp_path / "images"), labels=str(tmp_path / "masks"), classes=POLYP, progress=notes)
    assert values(dataset) == [[0, 1]] * 3
    assert notes.lines == [
        f"the label map of NAME is NAME{suffix} in {tmp_path / 'masks'} (--label-suffix changes that)"
    ]


def test_another_suffix_is_asked_for_and_taken(tmp_path):
    write_masks(tmp_path, name=lambda index: (f"images/{index}.png", f"masks/{index}-annotated.png"))
    images, masks = str(tmp_path / "images"), str(tmp_path / "masks")
    with pytest.raises(DataError, match=r"no file .* has a label of the same name .*--label-suffix"):
        open_dataset(images, labels=masks, classes=POLYP)
    assert len(open_dataset(images, labels=masks, classes=POLYP, label_suffix="-annotated")) == 3
    with pytest.raises(DataError, match="has a label of its name and '_mask'"):
        open_dataset(images, labels=masks, classes=POLYP, label_suffix="_mask")


def test_images_and_masks_may_be_in_one_folder(tmp_path):
    write_masks(tmp_path, name=lambda index: (f"{index}.png", f"{index}_mask.png"))
    for options in ({"label_suffix": "_mask"}, {"labels": str(tmp_path)}):
        assert values(open_dataset(str(tmp_path), classes=POLYP, **options)) == [[0, 1]] * 3
    assert len(open_dataset(str(tmp_path))) == 6  # images alone, as nobody said anything of labels


def test_roboflow_names_its_classes_and_its_masks(tmp_path):
    for part in ("train", "valid"):
        write_masks(tmp_path / part, name=lambda index: (f"{index}.rf.a.jpg", f"{index}.rf.a_mask.png"))
        (tmp_path / part / "_classes.csv").write_text("Pixel Value, Class\n0, background\n1, polyp\n")
    for source, split in ((tmp_path, "train"), (tmp_path, "val"), (tmp_path / "train", "val")):
        dataset = open_dataset(str(source), split=split)
        assert (len(dataset), dataset.classes) == (3, POLYP)
    (tmp_path / "train/_classes.csv").write_text("Pixel Value, Class\n1, background\n2, polyp\n")
    with pytest.raises(DataError, match=r"does not number its classes 0, 1, 2"):
        open_dataset(str(tmp_path / "train"))


def city(folder, ids, label_values):
    def name(index):
        stem = f"val/ulm/ulm_{index}"
        return f"leftImg8bit/{stem}_leftImg8bit.png", f"gtFine/{stem}_gtFine_{ids}.png"

    return write_masks(folder, label_values, name=name)


def test_cityscapes_is_paired_by_its_names_with_its_classes(tmp_path):
    city(tmp_path, "labelTrainIds", (0, 18, 255))
    write_masks(tmp_path, name=lambda index: (f"x/{index}.png", f"gtFine/val/ulm/ulm_{index}_gtFine_color.png"))
    for source, labels in ((".", None), ("leftImg8bit/val", "gtFine/val"), ("leftImg8bit/val/ulm", "gtFine/val/ulm")):
        folder = None if labels is None else str(tmp_path / labels)
        dataset = open_dataset(str(tmp_path / source), labels=folder)
        assert (len(dataset), dataset.classes) == (3, CITYSCAPES.names)
        assert values(dataset) == [[0, 18, 255]] * 3
    assert open_dataset(str(tmp_path), classes=["road", "car", *"abcdefghijklmnopq"]).classes[1] == "car"


def test_the_ids_of_cityscapes_become_train_ids_and_these_are_preferred(tmp_path):
    city(tmp_path, "labelIds", (0, 7, 33))
    assert values(open_dataset(str(tmp_path))) == [[0, 18, 255]] * 3
    with pytest.raises(DataError, match=r"label 7 .*expected 0 to 1"):
        open_dataset(str(tmp_path), classes=["a", "b"])[0]
    city(tmp_path, "labelTrainIds", (3, 4))
    assert values(open_dataset(str(tmp_path))) == [[3, 4]] * 3


def cvat(folder):
    """Images as PNG, masks coded by colour, the one list `default`, and labelmap.txt."""
    write_masks(folder, name=lambda index: (f"JPEGImages/f{index}.png", f"SegmentationClass/f{index}.png"))
    for path in (folder / "SegmentationClass").iterdir():
        colours = np.array([[0, 0, 0], [48, 112, 32]], np.uint8)
        Image.fromarray(colours[np.asarray(Image.open(path))]).save(path)
    (folder / "ImageSets/Segmentation").mkdir(parents=True)
    (folder / "ImageSets/Segmentation/default.txt").write_text("f0\nf1\n")
    (folder / "labelmap.txt").write_text("# label:color_rgb:parts:actions\nbackground:0,0,0::\npolyp:48,112,32::\n")
    return folder


def test_cvat_opens_with_its_colours_its_only_split_and_any_image_suffix(tmp_path):
    notes = RecordedProgress()
    dataset = open_dataset(str(cvat(tmp_path)), split="train", progress=notes)
    assert (len(dataset), dataset.classes, dataset.palette[1]) == (2, POLYP, (48, 112, 32))
    assert values(dataset) == [[0, 1]] * 2
    assert notes.lines == [f"{tmp_path} has no split 'train'; its only one, 'default', is taken"]
    (tmp_path / "labelmap.txt").rename(tmp_path / "other.txt")
    assert open_dataset(str(tmp_path)).classes == VOC_CLASSES


def test_labelme_opens_without_lists_of_names(tmp_path):
    write_masks(tmp_path, name=lambda index: (f"JPEGImages/{index}.jpg", f"SegmentationClassPNG/{index}.png"))
    (tmp_path / "SegmentationClass").mkdir()
    (tmp_path / "class_names.txt").write_text("__ignore__\n_background_\npolyp\n")
    dataset = open_dataset(str(tmp_path))
    assert (len(dataset), dataset.classes) == (3, ("_background_", "polyp"))


def test_grey_files_are_read_by_colour_where_all_colours_are_grey(tmp_path):
    write_masks(tmp_path, (0, 255, 128))
    open_with = {
        "labels": str(tmp_path / "masks"),
        "classes": ["object 255 255 255", "back 0 0 0", "ignore 128 128 128"],
    }
    assert open_dataset(str(tmp_path / "images"), **open_with)[0].label[::11, 0].tolist() == [1, 0, 255]
    for path in (tmp_path / "masks").iterdir():
        Image.open(path).convert("RGB").save(path)
    assert open_dataset(str(tmp_path / "images"), **open_with)[0].label[::11, 0].tolist() == [1, 0, 255]


def test_grey_masks_saved_as_rgb_are_read_by_value(tmp_path):
    write_masks(tmp_path, (0, 255))
    for path in (tmp_path / "masks").iterdir():
        Image.open(path).convert("RGB").save(path)
    for given, expected in (((0, 255), [0, 1]), ((255, 0), [1, 0])):
        dataset = open_dataset(
            str(tmp_path / "images"), labels=str(tmp_path / "masks"), classes=POLYP, label_values=given
        )
        assert dataset[0].label[::20, 0].tolist() == expected


def test_1_bit_masks_go_along_with_black_and_white_ones(tmp_path):
    write_masks(tmp_path, (0, 255))
    Image.open(tmp_path / "masks/1.png").convert("1").save(tmp_path / "masks/1.png")
    folders = {"source": str(tmp_path / "images"), "labels": str(tmp_path / "masks"), "classes": POLYP}
    assert values(open_dataset(**folders, label_values=(0, 255))) == [[0, 1]] * 3
    assert open_dataset(**folders)[1].label[::20, 0].tolist() == [0, 1]
