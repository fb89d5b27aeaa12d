"""The options of `bench` for the images that INT8 is calibrated with."""

from __future__ import annotations

import pytest

from fcn_deploy.benchmark import bench as bench_module
from fcn_deploy.data.options import DataOptions


@pytest.fixture
def calibration(monkeypatch: pytest.MonkeyPatch):
    """What the library gets as calibration images; nothing is measured."""
    got: list[object] = []

    def stop(*args: object, **options: object) -> None:
        got.append(options["calibration"])
        raise KeyboardInterrupt

    monkeypatch.setattr(bench_module, "bench", stop)
    return got


def test_the_labels_of_the_calibration_set_are_its_own(shell, calibration):
    assert shell("bench", "--labels", "a", "--calib", "photos", "--calib-labels", "masks").code == 130
    assert calibration == [DataOptions("photos", labels="masks", split="train", limit=100)]


def test_a_calibration_set_without_labels_is_named_by_its_source(shell, calibration):
    shell("bench", "--calib", "train.txt")
    shell("bench")
    assert calibration == ["train.txt", None]


def test_labels_of_no_calibration_set_are_a_usage_error(shell):
    found = shell("bench", "--calib-labels", "masks")
    assert found.code == 2
    assert found.err.startswith("error: --calib-labels needs --calib")
