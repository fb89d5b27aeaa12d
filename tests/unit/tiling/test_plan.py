"""Windows of one size, aligned, that cover an image with the labels they are sure of."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcn_deploy.errors import ShapeError
from fcn_deploy.tiling.plan import Axis, plan_for_runner, plan_tiles, smallest_tile
from fcn_deploy.tiling.receptive_field.compute import Halo, ReceptiveField
from tests.support.random_nets import Layer, chain

# Stride 4, three rounding layers: halos that depend on the remainder of the sides.
POOLED = ReceptiveField(
    chain(
        (
            Layer("Conv", 3, before=1, after=1),
            Layer("MaxPool", 2, 2, ceil=True),
            Layer("MaxPool", 2, 2, ceil=True),
            Layer("Conv", 3, before=1, after=1),
            Layer("ConvTranspose", 8, 4, before=2, after=2),
        )
    )
)
# The same with a pool that rounds down: its labels have the image's size only where 4 divides the sides.
TIED = ReceptiveField(
    chain((Layer("MaxPool", 4, 4), Layer("Conv", 3, before=1, after=1), Layer("ConvTranspose", 4, 4)))
)


def test_the_windows_of_a_row_by_hand():
    """Pool 4, a 3x3 over pools, x4: halo 4 on both sides. Of 20 pixels 12 are kept: windows begin at 0, 12 and 24."""
    assert TIED.halos(0, 0)[0] == Halo(4, 4)
    plan = plan_tiles(TIED, 44, 20, 20)
    # seams are the middle of what both windows know: window 0 knows 0..15, window 12 knows 16..27, and so on
    assert plan.rows == Axis(44, 44, 20, (0, 12, 24), (0, 16, 28, 44))
    assert plan.columns == Axis(20, 20, 20, (0,), (0, 20))
    assert plan.exact
    assert plan.overhead == 60 / 44


def test_an_image_within_the_tile_is_one_window_of_its_own_size():
    plan = plan_tiles(POOLED, 7, 33, 40)
    assert (plan.windows, plan.shape, plan.overhead, plan.exact) == (1, (7, 33), 1.0, True)


def test_windows_shrink_as_far_as_their_number_allows():
    """100 pixels with tiles of 96: two windows in any case, and 60 each do (52 are kept of 60, 48 of 56)."""
    assert plan_tiles(TIED, 100, 96, 96).rows.window == 56
    assert plan_tiles(TIED, 100, 96, 96, sizes="largest").rows.window == 96


@settings(max_examples=60, deadline=None)
@given(side=st.integers(1, 300), tile=st.integers(smallest_tile(POOLED), 120), halo=st.none() | st.integers(0, 9))
def test_every_label_is_kept_once_from_a_window_that_knows_it(side, tile, halo):
    plan = plan_tiles(POOLED, side, 1, tile, halo=halo)
    axis, (reach, _) = plan.rows, POOLED.halos(side, 1)
    before, after = (own if halo is None else min(own, halo) for own in (reach.before, reach.after))
    assert axis.window <= tile
    assert axis.starts[0] == 0
    assert axis.starts[-1] + axis.window == side
    assert all(start % 4 == 0 for start in axis.starts)
    assert (axis.seams[0], axis.seams[-1]) == (0, side)
    assert all(first < last for first, last in pairwise(axis.seams))
    for start, (first, last) in zip(axis.starts, axis.label_ranges, strict=True):
        assert first >= (0 if start == 0 else start + before)
        assert last <= (side if start + axis.window == side else start + axis.window - after)


def test_a_smaller_halo_costs_less_and_is_not_exact():
    exact, smaller = plan_tiles(POOLED, 500, 500, 48), plan_tiles(POOLED, 500, 500, 48, halo=2)
    assert smaller.overhead < exact.overhead
    # one row of conv0, so one pool of each, two of the second 3x3, of which x4 with kernel 8 and padding 2 makes 10
    assert smaller.remark == "the halo is 2 pixels and exact labels need 10"
    assert not plan_tiles(POOLED, 500, 500, 48, halo=9).exact
    assert plan_tiles(POOLED, 500, 500, 48, halo=10).exact


def test_a_tile_that_holds_no_labels_is_an_error_that_names_one_that_does():
    with pytest.raises(ShapeError, match="tiles of 12 pixels are too small") as raised:
        plan_tiles(POOLED, 99, 99, 12)
    least = int(str(raised.value).split("--tile ")[1].split()[0])
    assert least == smallest_tile(POOLED)
    assert all(plan_tiles(POOLED, side, 99, least).exact for side in range(96, 101))


@pytest.mark.parametrize(("height", "tile", "halo"), [(0, 9, None), (9, 0, None), (9, 9, -1)])
def test_sides_below_one_pixel_are_refused(height, tile, halo):
    with pytest.raises(ShapeError, match="at least 1 pixel"):
        plan_tiles(POOLED, height, 9, tile, halo=halo)


def test_a_side_that_cannot_be_exact_is_extended_and_says_so():
    plan = plan_tiles(TIED, 45, 18, 20)
    assert (plan.rows.side, plan.rows.extended, plan.rows.starts[-1] + plan.rows.window) == (45, 48, 48)
    assert list(plan.rows.label_ranges)[-1][1] == 45
    assert plan.columns.window == 18  # not cut, so it is as in the whole image
    assert not plan.exact
    assert plan.remark.startswith("the image of 45x18 was extended to 48x18 by its last row and column")
    assert "only where 4 divides the sides" in plan.remark


def test_windows_of_a_fixed_size_fill_any_image():
    for side in range(1, 120):
        axis = plan_tiles(POOLED, side, 40, 40, sizes="fixed").rows
        assert axis.window == 40
        assert axis.starts[-1] + 40 == axis.extended >= side
        assert all(start % 4 == 0 for start in axis.starts)
    assert plan_tiles(POOLED, 40, 44, 40, sizes="fixed").exact
    assert "windows of one size do not fill it" in plan_tiles(POOLED, 41, 44, 40, sizes="fixed").remark


def test_a_runner_gets_the_smallest_windows_that_it_takes():
    def shape(*held: tuple[int, int]) -> tuple[int, int]:
        return plan_for_runner(POOLED, 101, 98, 64, lambda shape: shape[1:] in held).shape

    smallest, largest = plan_tiles(POOLED, 101, 98, 64).shape, plan_tiles(POOLED, 101, 98, 64, sizes="largest").shape
    assert smallest < largest == (61, 62)
    assert shape(smallest, largest, (64, 64)) == smallest
    assert shape(largest, (64, 64)) == largest
    assert shape((64, 64)) == (64, 64)
    with pytest.raises(ShapeError, match=r"runs no windows of .* or 64x64; take a --tile"):
        shape()
