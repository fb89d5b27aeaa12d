"""Label maps of another program: which file belongs to which image, and what it holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn_deploy.data.dataset import open_dataset
from fcn_deploy.diagnosis.slips.maps import find_maps, image_names
from fcn_deploy.errors import DataError, ImageError, LabelError
from fcn_deploy.system.progress import SILENT
from tests.support.recorded_progress import RecordedProgress

LABELS = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
COLOURS = {(0, 0, 0): 0, (200, 10, 20): 1, (30, 40, 250): 2}


def photos(folder: Path, *names: str) -> str:
    for name in names:
        path = folder / "photos" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((2, 3, 3), np.uint8)).save(path)
    return str(folder / "photos")


def write(folder: Path, name: str, array: np.ndarray = LABELS) -> Path:
    path = folder / "maps" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, array)
    else:
        Image.fromarray(array).save(path)
    return path


def found(folder: Path, images: str, suffix: str | None = None, said=SILENT):
    return find_maps(open_dataset(images), folder / "maps", suffix, COLOURS, said)


def test_a_map_has_the_images_name_and_some_are_missing(tmp_path: Path):
    images, said = photos(tmp_path, "a", "b", "c"), RecordedProgress()
    write(tmp_path, "b.png")
    maps = found(tmp_path, images, said=said)
    assert [Path(name).stem for name in maps.paths] == ["b"]
    assert said.lines == ["2 images of 3 without a label map: a.png, c.png"]


@pytest.mark.parametrize("suffix", [None, ".jpg_pred"])
def test_a_suffix_is_found_or_given(tmp_path: Path, suffix: str | None):
    images, said = photos(tmp_path, "frame1", "frame10"), RecordedProgress()
    write(tmp_path, "frame1.jpg_pred.png")
    write(tmp_path, "frame10.jpg_pred.png")
    maps = found(tmp_path, images, suffix, said)
    assert [path.name for path in maps.paths.values()] == ["frame1.jpg_pred.png", "frame10.jpg_pred.png"]
    assert bool(said.lines) == (suffix is None)


def test_the_map_in_the_folder_of_the_images_name_is_taken(tmp_path: Path):
    images = photos(tmp_path, "one/a", "two/a")
    write(tmp_path, "one/a.png")
    write(tmp_path, "two/a.png")
    assert [path.parent.name for path in found(tmp_path, images).paths.values()] == ["one", "two"]


def test_one_map_of_one_image_needs_no_name(tmp_path: Path):
    images = photos(tmp_path, "a")
    maps = find_maps(open_dataset(images), write(tmp_path, "other.png"), None, {}, SILENT)
    assert (maps.read(*maps.paths, 6) == LABELS).all()


def test_nothing_to_compare_is_one_line(tmp_path: Path):
    images = photos(tmp_path, "a")
    with pytest.raises(DataError, match="maps is no folder"):
        found(tmp_path, images)
    (tmp_path / "maps").mkdir()
    with pytest.raises(DataError, match=r"maps holds no label map; expected \.png, "):
        found(tmp_path, images)
    write(tmp_path, "other.png")
    with pytest.raises(DataError, match=r"named as one of the 1 images .* \(there is other\.png, and the first image"):
        found(tmp_path, images)
    with pytest.raises(DataError, match="no label map"):
        found(tmp_path, images, "_x")


RGB = np.array([*COLOURS], np.uint8)[LABELS]


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("a.png", LABELS),
        ("a.png", LABELS.astype(np.uint16)),
        ("a.tif", LABELS),
        ("a.npy", LABELS.astype(np.int64)),
        ("a.npy", LABELS[None]),
        ("a.png", RGB),
        ("a.png", RGB[..., ::-1]),  # an RGB array that OpenCV wrote
    ],
)
def test_kinds_of_maps(tmp_path: Path, name: str, array: np.ndarray):
    images = photos(tmp_path, "a")
    write(tmp_path, name, np.ascontiguousarray(array))
    maps = found(tmp_path, images)
    assert (maps.read(*maps.paths, 6) == LABELS).all()


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("a.png", RGB + np.uint8(3), r"a\.png has colour 3 3 3 in 2 pixels"),
        ("a.npy", LABELS.astype(np.float32), r"a\.npy is float32 \[2, 3\]; expected integers \[H, W\]"),
        ("a.npy", RGB, r"a\.npy is uint8 \[2, 3, 3\]; expected integers"),
    ],
)
def test_what_holds_no_labels_is_one_line(tmp_path: Path, name: str, array: np.ndarray, message: str):
    images = photos(tmp_path, "a")
    write(tmp_path, name, array)
    maps = found(tmp_path, images)
    with pytest.raises(LabelError, match=message):
        maps.read(*maps.paths, 6)


@pytest.mark.parametrize("name", ["a.png", "a.npy"])
def test_a_damaged_map_is_one_line(tmp_path: Path, name: str):
    images = photos(tmp_path, "a")
    write(tmp_path, name).write_bytes(b"")
    maps = found(tmp_path, images)
    with pytest.raises((ImageError, LabelError), match=name):
        maps.read(*maps.paths, 6)


def test_names_of_images_are_known_without_decoding():
    assert image_names(open_dataset("synthetic:2:0:32x48")) == ["synthetic:0:0", "synthetic:0:1"]


@pytest.mark.parametrize("name", ["a.png", "a.npy"])
def test_a_map_of_far_more_pixels_than_its_image_is_not_read(tmp_path: Path, name: str):
    images = photos(tmp_path, "a")
    write(tmp_path, name, np.zeros((40, 50), np.uint8))
    maps = found(tmp_path, images)
    assert maps.read(*maps.paths, 8).shape == (40, 50)
    with pytest.raises(LabelError, match=r"has 2,000 pixels and its image 7; expected at most 256 times as many"):
        maps.read(*maps.paths, 7)
