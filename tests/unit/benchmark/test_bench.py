"""What `bench` makes of its arguments."""

from __future__ import annotations

import pytest

from fcn_deploy.benchmark import bench as module
from fcn_deploy.benchmark.bench import CALIBRATION_SCENES, bench
from fcn_deploy.benchmark.run import BenchOptions
from fcn_deploy.data.options import DataOptions


@pytest.fixture
def asked(monkeypatch):
    """Return the options that some arguments come to."""
    monkeypatch.setattr(module, "run_bench", lambda options, progress: options)

    def ask(*arguments: object, **given: object) -> BenchOptions:
        return bench(*arguments, **given)  # type: ignore[arg-type, return-value]

    return ask


def test_one_batch_and_no_size_is_no_grid(asked):
    assert (asked(batches=[4]).batch, asked(batches=[4]).batches) == (4, ())
    assert (asked(batches=[2, 1]).batch, asked(batches=[2, 1]).batches) == (2, (2, 1))
    assert asked(image_sizes=[(33, 47)]).batches == (1,)
    assert (asked(sizes=["0.5"]).batches, asked(sizes=["0.5"]).network_sizes) == ((), ("0.5",))


def test_generated_scenes_are_calibrated_with_others_and_own_images_with_none_unless_named(asked, tmp_path):
    assert asked().calibration == DataOptions(CALIBRATION_SCENES, split="train", limit=100)
    assert asked("demo", tmp_path).calibration is None
    assert not any("int8" in row for row in asked("demo", tmp_path).runners)
    assert asked("demo", tmp_path, calibration=tmp_path).calibration == DataOptions(
        str(tmp_path), split="train", limit=100
    )
