from __future__ import annotations

import re

import pytest

from fcn_deploy.runners.ort.first_runs import FirstRuns


def test_the_first_run_of_each_shape_is_timed_and_no_later_one():
    runs = FirstRuns()
    assert runs.remark == ()
    for shape in ((1, 8, 8), (1, 8, 8), None):
        with runs.timed(shape):
            pass
    (one,) = runs.remark
    assert re.fullmatch(r"the first run of a shape chooses kernels: 0\.0\d s for 1 shape\(s\)", one)
    with runs.timed((1, 9, 9)):
        pass
    assert "s for 2 shape(s)" in runs.remark[0]


def test_a_run_that_fails_is_none():
    runs = FirstRuns()
    with pytest.raises(ValueError, match="no"), runs.timed((1, 8, 8)):
        raise ValueError("no")
    assert runs.remark == ()
