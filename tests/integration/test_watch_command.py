"""`fcn-deploy watch`: the answer first, its exit code, and one line for what cannot be watched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import fcn_deploy
from tests.support.drifts import fog, scenes, write_photos

CALIBRATION = "synthetic:20:1:48x64"


@pytest.fixture(scope="module")
def int8(tmp_path_factory, demo_onnx: Path) -> Path:
    target: Path = tmp_path_factory.mktemp("int8") / "int8.onnx"
    fcn_deploy.quantize(
        demo_onnx,
        target,
        precision="int8",
        target="cpu",
        calibration=CALIBRATION,
        calibration_cache=target.with_name("c"),
    )
    return target


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Folders of ten other scenes: as they are, and in fog."""
    folder: Path = tmp_path_factory.mktemp("photos")
    images = scenes("synthetic:10:7:48x64")
    write_photos(folder / "same", images)
    write_photos(folder / "fog", [fog(image) for image in images])
    return folder


def test_photos_that_fit_exit_with_0_and_the_answer_is_the_first_line(shell, int8, photos, demo_onnx):
    done = shell("watch", int8, photos / "same", "--calib", CALIBRATION, "--reference", demo_onnx, "--details")
    assert done.code == 0, done.err
    assert done.out.startswith("the photos fit the calibration\n10 images compared with 20 images of synthetic:")
    assert "backbone.stage1.relu1" in done.out


def test_photos_that_do_not_fit_exit_with_3_and_a_line_for_each_figure(shell, int8, photos, tmp_path):
    record = tmp_path / "drift.json"
    done = shell("watch", int8, photos / "fog", "--calib-cache", int8.with_name("c"), "--json", record)
    assert done.code == 3, done.err
    assert done.out.startswith("the photos do not fit the calibration: ")
    assert "  contrast " in done.out
    assert "10 images compared with 20 calibration images of c\n" in done.out
    assert "labels were not compared with FP32's: --reference names the FP32 file" in done.out
    assert json.loads(record.read_text())["fits"] is False


@pytest.mark.parametrize(("strict", "code"), [((), 0), (("--strict",), 4)])
def test_too_few_images_are_reported_and_fail_where_that_is_asked(shell, int8, photos, strict, code):
    done = shell("watch", int8, photos / "fog" / "000.png", "--calib", CALIBRATION, *strict)
    assert done.code == code, done.err
    assert done.out.startswith("the photos were not judged: 1 image is too few to judge; give 8 or more\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "there is nothing to compare with"),
        (("--calib", CALIBRATION, "--calib-cache", "nowhere"), "exclude each other"),
        (("--calib-cache", "nowhere"), "nowhere does not exist"),
        (("--calib", CALIBRATION, "--false-alarms", "0"), "0.0 is not in the range 0.1<=x<=50"),
        (("--calib", CALIBRATION, "--max-beyond", "nan"), "nan is not in the range"),
        (("--calib", CALIBRATION, "--max-differing", "1"), "--max-differing needs --reference"),
        (("--calib", "nowhere.txt"), "nowhere.txt"),
        (("--calib", CALIBRATION, "--reference", "nowhere.onnx"), "nowhere.onnx does not exist"),
    ],
)
def test_bad_options_get_one_line(shell, int8, photos, arguments, message):
    done = shell("watch", int8, photos / "same", *arguments)
    assert done.code in (1, 2)
    assert message in done.err.splitlines()[-1]


def test_a_folder_without_images_and_a_file_in_fp32_get_one_line(shell, int8, photos, tmp_path, demo_onnx):
    done = shell("watch", int8, tmp_path, "--calib", CALIBRATION)
    assert (done.code, "holds no image files" in done.err.splitlines()[-1]) == (1, True)
    done = shell("watch", demo_onnx, photos / "same", "--calib", CALIBRATION)
    assert (done.code, "has no quantised tensor" in done.err.splitlines()[-1]) == (1, True)
