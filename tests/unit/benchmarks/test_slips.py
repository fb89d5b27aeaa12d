"""How the benchmark of slips judges a name, and what stands for noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.slips import noise, outcome_of
from fcn_deploy.diagnosis.slips.report import Explanation, SlipReport, Verdict


def report(name: str, *, fixes: int = 1, verdict: Verdict = "explained", one_label: float = 0.3, alike: str = ""):
    tried = (Explanation(name, ("",) * fixes, 0.9),)
    also = (alike,) if alike else ()
    return SlipReport("a.onnx", "maps", 6, verdict, 0.5, one_label, tried, (8, 8), (8, 8), 3, also)


@pytest.mark.parametrize(
    ("mistakes", "found", "outcome"),
    [
        (["BGR"], report("channels swapped (BGR)"), "right"),
        (["BGR"], report("mean missing", alike="channels swapped (BGR)"), "right, or"),
        (["BGR", "mirrored"], report("mirrored left to right"), "one of two"),
        (["BGR", "mirrored"], report("mirrored left to right and mean missing", fixes=2), "wrong"),
        (["BGR"], report("mirrored and channels swapped (BGR)", fixes=2), "wrong"),
        (["mean and std missing"], report("mean and std missing, values in 0..1"), "wrong"),
        (["BGR"], report("", verdict="unexplained"), "not named"),
        (["BGR"], report("", verdict="unexplained", one_label=0.99), "one label"),
        (None, report("", verdict="unexplained"), "not named"),
        (None, report("channels swapped (BGR)"), "wrong"),
        (None, report("", verdict="same"), "wrong"),
        ([], report("", verdict="same"), "no slip"),
        ([], report("channels swapped (BGR)"), "wrong"),
    ],
)
def test_outcomes(mistakes: list[str] | None, found: SlipReport, outcome: str):
    assert outcome_of(mistakes, found) == outcome


def test_noise_in_squares_has_the_images_size(tmp_path: Path):
    Image.fromarray(np.zeros((40, 50, 3), np.uint8)).save(tmp_path / "a.png")
    made = noise(np.random.default_rng(0), tmp_path / "a.png", 16)
    assert made.shape == (40, 50)
    assert (made[:16, :16] == made[0, 0]).all()
    assert len(np.unique(made)) > 3
