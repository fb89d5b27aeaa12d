"""What a check of a data set finds."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from fcn_deploy.data.options import DataOptions
from fcn_deploy.data_check.check import check_data
from fcn_deploy.errors import DataError
from tests.support.masks import write_masks


def options(folder, *classes, **more):
    return DataOptions(folder / "images", labels=folder / "masks", classes=classes or ("a", "b"), **more)


def test_sizes_classes_and_unlabelled_pixels_are_counted(tmp_path):
    write_masks(tmp_path, (0, 1, 255), size=(3, 4))
    Image.new("RGB", (9, 7)).save(tmp_path / "images/2.png")
    Image.new("L", (9, 7)).save(tmp_path / "masks/2.png")
    found = check_data(options(tmp_path, "a", "b", "c"))
    assert (found.images, found.problems, found.sizes) == (3, [], {(3, 4): 2, (7, 9): 1})
    plain = json.loads(json.dumps(found.to_plain()))
    assert plain["classes"][0] == {"name": "a", "pixels": 71, "share": 71 / 87, "images": 3}
    assert plain["classes"][2] == {"name": "c", "pixels": 0, "share": 0.0, "images": 0}
    assert plain["unlabelled"] == {"share": 8 / 87, "values": {"255": 8}}
    assert plain["sizes"] == [{"height": 3, "width": 4, "images": 2}, {"height": 7, "width": 9, "images": 1}]
    assert plain["remarks"] == ["class c has no pixel", "9.2 % of the pixels are 255, which is unlabelled"]


def test_every_file_that_cannot_be_used_is_a_problem(tmp_path):
    write_masks(tmp_path, (0, 1), count=5)
    (tmp_path / "images/1.png").write_bytes(b"")
    Image.new("L", (2, 2)).save(tmp_path / "masks/2.png")
    Image.new("L", (47, 33), 9).save(tmp_path / "masks/3.png")
    (tmp_path / "masks/4.png").unlink()
    found = check_data(options(tmp_path))
    assert [found.problems[index].split("/")[-1][:20] for index in range(3)] == [
        "1.png is empty (0 by", "2.png is 2 x 2 and i", "3.png has label 9 (1",
    ]  # fmt: skip
    assert found.notes == [f"1 files of {tmp_path / 'images'} have no label and are left out (4)"]
    assert sum(found.sizes.values()) == 1


def test_masks_from_which_nothing_can_be_learned_are_a_problem(tmp_path):
    write_masks(tmp_path, (0, 255))
    assert check_data(options(tmp_path)).problems == [
        "class b has no pixel; 48 % of the pixels are 255, which is unlabelled; if 255 is a class, give "
        "--label-values 0,255"
    ]
    assert check_data(options(tmp_path, label_values=(0, 255))).problems == []


def test_images_alone_and_sets_of_which_nothing_can_be_used(tmp_path):
    write_masks(tmp_path, count=1)
    assert check_data(tmp_path / "images").to_plain()["label_maps"] == 0
    (tmp_path / "images/0.png").write_bytes(b"")
    with pytest.raises(DataError, match="none of the 1 images"):
        check_data(options(tmp_path))


def test_without_class_names_the_values_are_shown(tmp_path):
    write_masks(tmp_path, (0, 255), size=(4, 2))
    found = check_data(DataOptions(tmp_path / "images", labels=tmp_path / "masks"))
    assert (found.named, found.problems, found.remarks) == (False, [], [])
    assert [(each["name"], each["share"]) for each in found.to_plain()["classes"]] == [("0", 0.5), ("255", 0.5)]
    assert found.notes == [
        "no class names are given (--classes); these are the values in the label maps",
        "black and white: if 255 is a class, give --classes background,NAME --label-values 0,255",
    ]
    with pytest.raises(DataError, match="no class names"):
        check_data(DataOptions(tmp_path / "images", labels=tmp_path / "masks", label_values=(0, 255)))
