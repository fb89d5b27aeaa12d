"""The calibration images before the graph runs: classes, label maps, repeats, and frames that are in two sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn_deploy.data.dataset import open_dataset
from fcn_deploy.data.digests import Frames, Overlap, frames_of, overlap
from fcn_deploy.data.options import DataOptions
from fcn_deploy.data.sample import Sample
from fcn_deploy.errors import DataError
from fcn_deploy.graph.load import load_graph
from fcn_deploy.graph.ports import graph_io_of
from fcn_deploy.quantization.calibration.images import CalibrationContent, open_checked, reject_label_maps
from tests.support.recorded_progress import RecordedProgress
from tests.support.small_fcn import CARD, images, write_fcn


def _photograph(seed: int) -> np.ndarray:
    return images(1, (1, 10, 14), seed)[0][0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images, the last with the pixels of the first in another format; label maps without the class car."""
    for name in ("photos", "maps"):
        (tmp_path / name).mkdir()
    for name, seed in (("a.png", 0), ("b.png", 1), ("c.bmp", 0)):
        Image.fromarray(_photograph(seed)).save(tmp_path / "photos" / name)
        label = np.zeros((10, 14), np.uint8)
        label[:3], label[3] = 2, 255
        Image.fromarray(label).save(tmp_path / "maps" / f"{name[0]}.png")
    (tmp_path / "classes.txt").write_text("\n".join(CARD.classes))
    return tmp_path / "photos"


def _names(frames: Frames) -> list[str]:
    return [Path(name).name for name in frames.names]


def test_classes_covered_and_missing_are_counted(folder):
    found = open_checked(CARD, DataOptions(str(folder), labels=str(folder.parent / "maps")))
    assert found.coverage.pixels is not None
    assert found.coverage.pixels.tolist() == [3 * 6 * 14, 0, 3 * 3 * 14]
    assert found.coverage.missing == ("car",)
    assert _names(found.coverage.frames) == ["a.png", "b.png", "c.bmp"]


def test_images_with_the_same_pixels_are_found_whatever_their_file(folder):
    (group,) = open_checked(CARD, DataOptions(str(folder))).coverage.frames.repeated
    assert [Path(name).name for name in group] == ["a.png", "c.bmp"]


def test_the_feeds_are_the_images_of_the_survey(folder, tmp_path):
    io = graph_io_of(load_graph(write_fcn(tmp_path / "fcn.onnx")), "fcn.onnx", CARD)
    found = open_checked(CARD, DataOptions(str(folder)))
    feeds = list(found.feeds(io))
    assert [feed["image"].shape for feed in feeds] == [(1, 10, 14, 3)] * 3
    assert np.array_equal(feeds[1]["image"][0], _photograph(1))
    assert [image.shape for image in found.first(2)] == [(1, 10, 14, 3)] * 2
    Image.fromarray(_photograph(7)).save(folder / "b.png")
    with pytest.raises(DataError, match=r"b\.png has changed since it was first read"):
        list(found.feeds(io))


def test_an_image_that_is_skipped_is_reported_once_and_left_out_everywhere(folder, tmp_path):
    (folder / "b.png").write_bytes(b"no image")
    recorded = RecordedProgress()
    found = open_checked(CARD, DataOptions(str(folder), on_error="skip"), recorded)
    io = graph_io_of(load_graph(write_fcn(tmp_path / "fcn.onnx")), "fcn.onnx", CARD)
    assert len(list(found.feeds(io))) == len(found.first(5)) == 2
    assert sum("b.png" in line for line in recorded.lines) == 1
    assert any(line.startswith("1 of 3 samples of") for line in recorded.lines)
    (folder / "c.bmp").unlink()
    with pytest.raises(DataError, match="can no longer be read"):
        list(found.feeds(io))


def test_a_set_in_which_no_image_can_be_read_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"none of the 1 samples of .* can be used"):
        open_checked(CARD, DataOptions(str(tmp_path), on_error="skip"))


def test_label_maps_in_place_of_images_are_refused(folder):
    with pytest.raises(DataError, match=r"a\.png has 3 colours in all, as a label map has"):
        open_checked(CARD, DataOptions(str(folder.parent / "maps")))


def test_one_dark_frame_among_photographs_is_no_label_map():
    photograph = _photograph(0)
    reject_label_maps([Sample(np.zeros_like(photograph), None, "dark"), Sample(photograph, None, "day")], 3)


def test_label_maps_among_the_images_are_named(folder):
    for name in ("a", "b"):
        (folder.parent / "maps" / f"{name}.png").rename(folder / f"{name}_mask.png")
    found = open_checked(CARD, DataOptions(str(folder)))
    assert [Path(name).name for name in found.coverage.few_colours] == ["a_mask.png", "b_mask.png"]


def test_coverage_without_labels_has_no_classes_missing():
    coverage = CalibrationContent(CARD.classes)
    coverage.add(Sample(_photograph(0), None, "a"))
    assert coverage.missing == ()


def test_frames_of_both_sets_are_named_with_their_names_in_either(folder, tmp_path):
    (tmp_path / "val").mkdir()
    for name, seed in (("x.png", 5), ("y.png", 0), ("z.png", 0)):
        Image.fromarray(_photograph(seed)).save(tmp_path / "val" / name)
    calibration = open_checked(CARD, DataOptions(str(folder))).coverage.frames
    found = overlap(calibration, frames_of(open_dataset(str(tmp_path / "val"))))
    assert [tuple(Path(name).name for name in pair) for pair in found.shared] == [
        ("a.png", "y.png"),
        ("c.bmp", "y.png"),
    ]
    assert (found.calibration, found.validation) == (3, 3)
    assert overlap(calibration, Frames()) == Overlap((), 3, 0)


def test_labels_of_other_classes_are_left_aside_with_a_notice(folder):
    recorded = RecordedProgress()
    options = DataOptions(str(folder), labels=str(folder.parent / "maps"), classes=("a", "b", "c", "d"))
    found = open_checked(CARD, options, recorded)
    assert (len(found.dataset), found.coverage.pixels) == (3, None)
    (line,) = [line for line in recorded.lines if "without their labels" in line]
    assert "the model has 3 classes" in line
    unreadable = DataOptions(str(folder), labels=str(folder.parent / "maps"), ignore_index=7, limit=2)
    assert len(open_checked(CARD, unreadable, recorded).first(5)) == 2
    assert "has label 255" in recorded.lines[-1]
