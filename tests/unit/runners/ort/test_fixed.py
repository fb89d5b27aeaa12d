from __future__ import annotations

import pytest

from fcn_deploy.errors import RunnerError
from fcn_deploy.runners.ort.fixed import sizes_of


def test_each_named_dim_gets_its_size_and_fixed_ones_stay():
    assert sizes_of(["N", "H", "W", 3], (1, 8, 9, 3)) == {"N": 1, "H": 8, "W": 9}
    assert sizes_of([1, 3, "H", "H"], (1, 3, 8, 8)) == {"H": 8}
    assert sizes_of([1, 8, 9, 3], (1, 8, 9, 3)) == {}


@pytest.mark.parametrize("dims", [["N", "S", "S", 3], ["N", None, "W", 3]])
def test_dims_that_cannot_be_told_apart_are_refused(dims):
    with pytest.raises(RunnerError, match="have no name each, by which to fix them"):
        sizes_of(dims, (1, 8, 9, 3))
