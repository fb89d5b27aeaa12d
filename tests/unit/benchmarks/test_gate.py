"""The simulation of a gate: the losses that are planted, and verdicts on drawn frames of made-up counts."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.gate import BUDGETS, cases, lost, planted, simulate
from benchmarks.readme import gate_table
from fcn_deploy.metrics.budget import ImageCounts

CLASSES = ("sky", "pole", "car")


def frames(count: int = 60, seed: int = 0) -> ImageCounts:
    """Frames that are unlike: 20,000 to 40,000 pixels of each class, 60 to 90 % of them right."""
    generator = np.random.default_rng(seed)
    overall = np.zeros((count, 3, 3), np.int64)
    for index in range(3):
        pixels = generator.integers(20_000, 40_000, count)
        right = (pixels * generator.uniform(0.6, 0.9, count)).astype(np.int64)
        overall[:, index, index] = right
        overall[:, index, (index + 1) % 3] = pixels - right
    return ImageCounts(overall, overall // 4, count)


@pytest.mark.parametrize("figure", ["", None, "pole"])
@pytest.mark.parametrize("points", [0.2, 2.0])
def test_a_planted_loss_is_what_was_wanted_and_no_pixel_is_lost(figure, points):
    before = frames()
    after = planted(before, figure, points, CLASSES)
    assert lost(before, after, figure, CLASSES) == pytest.approx(points, abs=0.01)
    assert (after.overall.sum(axis=2) == before.overall.sum(axis=2)).all()
    assert (after.overall >= 0).all()
    shares = 1 - after.overall[:, 1, 1] / before.overall[:, 1, 1]
    assert shares.max() > 5 * np.median(shares) / 2  # uneven
    if figure == "pole":
        assert (after.overall[:, [0, 2]] == before.overall[:, [0, 2]]).all()


def test_a_gate_is_right_on_drawn_frames_of_files_that_lose_nothing_or_twice_the_budget():
    before = frames()
    found = {"fp32": before, "fp16": planted(before, "", 0.001, CLASSES), "int8": planted(before, "", 0.4, CLASSES)}
    rows = simulate(found, CLASSES, draws=20)
    assert [row["allowed"] for row in rows[:6]] == [*BUDGETS, *BUDGETS]
    assert {row["passed"] for row in rows[:6]} == {20}
    assert [row["limit"] for row in rows[6:11]] == ["mIoU", "boundary", "sky", "pole", "car"]
    broken = [row for row in rows if row["right"] == "broken"]
    assert all(row["loss"] == pytest.approx(2 * row["allowed"], abs=0.02) for row in broken)
    assert all(row["broken"] >= 18 and row["passed"] == 0 for row in broken)
    assert rows[-1]["files"] == "FP32 and INT8"
    table = gate_table({"rows": rows, "frames": 60})
    assert "| FP32 and FP16 | mIoU, boundary and 3 classes | 0.1 | passed | 20 of 20 |" in table
    assert "| planted loss, twice what is allowed | mIoU | 0.3 | broken | 20 of 20 |" in table


def test_a_loss_of_more_than_half_a_figure_is_not_planted():
    before = frames()
    before.overall[:, 1, 1], before.overall[:, 1, 0] = 1, before.overall[:, 1].sum(axis=1) - 1
    found = {"fp32": before, "fp16": before, "int8": before}
    assert [case.limit for case in cases(found, CLASSES) if case.files == "planted loss"].count("pole") == 0
