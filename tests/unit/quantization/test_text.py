"""What `quantize` says of its calibration images, in lines and for JSON."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from fcn_deploy.data.digests import Frames, Overlap
from fcn_deploy.quantization.calibration.collect import CacheUse
from fcn_deploy.quantization.calibration.images import CalibrationContent
from fcn_deploy.quantization.report import QuantizeReport
from fcn_deploy.quantization.text import calibration_lines


def _report(coverage: CalibrationContent | None, **more: Any) -> Any:
    """The part of a report that these lines are made from."""
    images = 0 if coverage is None else len(coverage.frames.names)
    plain = {"precision": "int8", "coverage": coverage, "images": images, "overlap": None, "cache": None}
    return SimpleNamespace(**{**plain, **more})


def _coverage(digests: str, **more: Any) -> CalibrationContent:
    names = [f"photos/{index}.png" for index in range(len(digests))]
    return CalibrationContent(("road", "car"), frames=Frames(names, list(digests)), **more)


def test_a_plain_set_is_one_line():
    assert calibration_lines(_report(_coverage("a"))) == ["calibrated with 1 image"]
    counted = _coverage("abc", pixels=np.array([7, 0]))
    assert calibration_lines(_report(counted)) == ["calibrated with 3 images that show 1 of 2 classes (without: car)"]


def test_repeats_are_counted_without_their_first_and_named():
    lines = calibration_lines(_report(_coverage("abaacc")))
    assert lines[1] == (
        "3 of the 6 calibration images repeat another one, pixel for pixel: 0.png = 2.png = 3.png, 4.png = 5.png"
    )
    assert calibration_lines(_report(_coverage("aa")))[1].startswith("1 of the 2 calibration images repeats another")
    assert QuantizeReport.calibration_plain(_report(_coverage("abb")))["repeated_images"] == [
        ["photos/1.png", "photos/2.png"]
    ]


def test_frames_of_the_validation_set_are_counted_and_named():
    shared = tuple((f"photos/{index}.png", f"val/{index}.png") for index in range(5))
    report = _report(_coverage("abcdef"), overlap=Overlap(shared, 6, 9))
    assert calibration_lines(report)[1] == (
        "5 of the 6 calibration images are also in the validation set, whose score they flatter: "
        "0.png, 1.png, 2.png and 2 more"
    )
    plain = QuantizeReport.calibration_plain(report)["validation_overlap"]
    assert plain["validation_images"] == 9
    assert plain["shared"][4] == ["photos/4.png", "val/4.png"]


def test_no_overlap_is_reported_where_there_is_a_validation_set_and_only_there():
    report = _report(_coverage("ab"), overlap=Overlap((), 2, 9))
    assert calibration_lines(report)[1] == "0 of the 2 calibration images are also in the validation set"
    assert QuantizeReport.calibration_plain(_report(_coverage("ab")))["validation_overlap"] is None


def test_images_of_few_colours_are_asked_about():
    lines = calibration_lines(_report(_coverage("abcd", few_colours=["m/x.png", "m/y.png"])))
    assert lines[1] == "2 of the 4 have as few colours as a label map; is this a photograph? x.png, y.png"


def test_the_cache_shows_what_it_spared():
    path = Path("net.calib")
    assert calibration_lines(_report(_coverage("a"), cache=CacheUse(path, 47, 0)))[1] == (
        "measurements taken from net.calib; the images were not run for them"
    )
    lines = calibration_lines(_report(_coverage("a"), cache=CacheUse(path, 0, 47)))
    assert lines[1] == "47 tensors measured, 0 taken from net.calib"


def test_without_images_every_list_is_empty():
    assert calibration_lines(_report(None)) == [
        "no calibration images (--calib): overflow of activations and labels were not checked"
    ]
    plain = QuantizeReport.calibration_plain(_report(None))
    assert plain["images"] == plain["repeated_images"] == plain["images_of_few_colours"] == []
    assert plain["calibration_cache"] is None
