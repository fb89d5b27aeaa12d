from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from PIL import Image

from fcn_deploy.errors import DataError, OutputError
from fcn_deploy.prediction.collisions import check_names
from fcn_deploy.prediction.images.sources import ImageSource, find_sources
from fcn_deploy.prediction.outputs import Outputs


def touch(*paths: Path) -> None:
    for path in paths:
        path.touch()


def sources(*found: str) -> list[ImageSource]:
    return [ImageSource(Path("photos", name), PurePosixPath(name)) for name in found]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (("a.jpg", "a.png"), "photos/a.jpg and photos/a.png would both be written to masks/a.png"),
        (("x/a.jpg", "x/a.jpg"), "would both be written to masks/x/a.png"),
        (("a.jpg", "a.png/b.jpg"), "photos/a.jpg and photos/a.png/b.jpg would both be written to masks/a.png"),
        (("clip.mp4", "clip.mp4"), "would both be written to masks/clip.mp4"),
    ],
)
def test_names_that_collide_are_refused_with_both_sources(found, said):
    with pytest.raises(DataError, match=said):
        check_names(Outputs(Path("masks"), "indexed", ()), sources(*found))


def test_names_that_do_not_collide_are_let_be():
    check_names(Outputs(Path("masks"), "indexed", ()), sources("a.jpg", "b.png", "x/a.jpg", "clip.mp4", "clip.avi"))
    check_names(Outputs(Path("masks"), "indexed", (), keep_suffix=True), sources("a.jpg", "a.png", "a"))


def test_a_result_never_replaces_an_image(tmp_path):
    touch(tmp_path / "a.png", tmp_path / "b.jpg")
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    found = find_sources([str(tmp_path / "a.png"), str(tmp_path / "b.jpg")])
    with pytest.raises(OutputError, match=r"link/a\.png would replace the image .*a\.png"):
        check_names(Outputs(tmp_path / "link", "raw", ()), found)
    check_names(Outputs(tmp_path / "link", "npy", ()), found)
    with pytest.raises(OutputError, match=r"a\.png would replace the image .*link/a\.png"):
        check_names(Outputs(tmp_path, "raw", ()), find_sources([str(tmp_path / "link" / "a.png")]))


def test_a_result_never_replaces_what_a_link_among_the_images_names(tmp_path):
    folder, results = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    results.mkdir()
    touch(results / "a.png", results / "b.png")
    (folder / "a.png").symlink_to(results / "a.png")
    with pytest.raises(OutputError, match=r"out/a\.png would replace the image .*in/a\.png"):
        check_names(Outputs(results, "raw", ()), find_sources([str(folder / "a.png")]))
    os.link(results / "b.png", folder / "b.png")
    with pytest.raises(OutputError, match=r"out/b\.png would replace the image .*in/b\.png"):
        check_names(Outputs(results, "raw", ()), find_sources([str(folder / "b.png")]))


LABELS = np.zeros((3, 5), np.uint8)
IMAGE = np.zeros((3, 5, 3), np.uint8)


@pytest.mark.parametrize("format", ["indexed", "raw", "npy"])
def test_results_of_predict_alone_are_replaced(tmp_path, format):
    outputs = Outputs(tmp_path, format, ((0, 0, 0), (9, 9, 9)), overlay=0.5, confidence=tmp_path / "sure")
    outputs.write(PurePosixPath("a.jpg"), IMAGE, LABELS, LABELS)
    check_names(outputs, sources("a.jpg"))
    for path in outputs.paths(PurePosixPath("a.jpg")):
        own = path.read_bytes()
        path.write_bytes(b"")  # of a disk that was full
        check_names(outputs, sources("a.jpg"))
        path.write_bytes(b"somebody's")
        with pytest.raises(OutputError, match=rf"{path.name} is there and has no mark of a result of predict"):
            check_names(outputs, sources("a.jpg"))
        path.write_bytes(own)


def test_label_maps_of_others_are_no_results_and_whole_ones_are_skipped(tmp_path):
    outputs = Outputs(tmp_path, "raw", ())
    Image.fromarray(LABELS).save(tmp_path / "a.png")
    with pytest.raises(OutputError, match="has no mark"):
        check_names(outputs, sources("a.jpg"))
    check_names(outputs, sources("a.jpg"), skip=True)
    Image.fromarray(IMAGE).save(tmp_path / "a.png")  # a photo is no label map, so it would not be skipped
    with pytest.raises(OutputError, match="has no mark"):
        check_names(outputs, sources("a.jpg"), skip=True)


def test_arrays_of_others_are_no_results(tmp_path):
    np.save(tmp_path / "a.npy", LABELS)
    with pytest.raises(OutputError, match=r"a\.npy is there and has no mark of a result of predict"):
        check_names(Outputs(tmp_path, "npy", ()), sources("a.jpg"))


def test_frames_in_the_folder_of_a_video_are_not_replaced(tmp_path):
    (tmp_path / "clip.mp4").mkdir()
    Image.fromarray(IMAGE).save(tmp_path / "clip.mp4" / "000000.png")
    with pytest.raises(OutputError, match=r"000000\.png is there"):
        check_names(Outputs(tmp_path, "raw", ()), sources("clip.mp4"))
