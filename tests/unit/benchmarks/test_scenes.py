"""The scenes that the accuracy of the demo is measured on."""

from __future__ import annotations

import numpy as np

from benchmarks.scenes import write_split
from fcn_deploy.data.dataset import iterate
from fcn_deploy.data.options import DataOptions, open_for_model


def test_scenes_for_calibration_are_others_than_those_that_are_scored(tmp_path):
    found = {}
    for split, count in (("train", 3), ("val", 2)):
        write_split(tmp_path / "scenes", split, count)
        found[split] = list(iterate(open_for_model(None, DataOptions(str(tmp_path / "scenes" / f"{split}.txt")))))
    assert [len(samples) for samples in found.values()] == [3, 2]
    for sample in found["train"] + found["val"]:
        assert sample.label is not None
        assert sample.label.shape == sample.image.shape[:2]
    assert not any(np.array_equal(a.image, b.image) for a in found["train"] for b in found["val"])
    assert "road" in (tmp_path / "scenes" / "classes.txt").read_text()
