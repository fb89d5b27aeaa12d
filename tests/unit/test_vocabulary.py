"""Sizes, shapes and profiles as users write them."""

from __future__ import annotations

import pytest

from fcn_deploy.errors import EngineError, ShapeError
from fcn_deploy.vocabulary import Profile, parse_shape, parse_size, shape_text


def test_a_profile_accepts_its_ends_and_nothing_beyond():
    profile = Profile((1, 33, 47), (2, 33, 47), (3, 101, 157))
    assert profile.accepts((1, 33, 47))
    assert profile.accepts((3, 101, 157))
    assert not profile.accepts((1, 32, 47))
    assert not profile.accepts((4, 101, 157))
    assert str(profile) == "1x33x47 .. 2x33x47 .. 3x101x157"


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        (((0, 1, 1), (1, 1, 1), (1, 1, 1)), "min 0x1x1 has a number below 1"),
        (((1, 1, 1), (1, 1, 1), (1, -5, 1)), "max 1x-5x1 has a number below 1"),
        (((1, 64, 1), (1, 33, 1), (1, 99, 1)), "H goes from 64 over 33 to 99; expected min <= opt <= max"),
        (((1, 1, 1), (1, 1, 48), (1, 1, 47)), "W goes from 1 over 48 to 47"),
        (((1, 1, 1), (1, 1, 1), (1, 2**31, 1)), "max 1x2147483648x1 has a number above 2147483647"),
    ],
)
def test_a_profile_out_of_order_is_rejected(shapes, said):
    with pytest.raises(EngineError, match=said):
        Profile(*shapes)


@pytest.mark.parametrize("text", ["32x32", "1x2x3x4", "axbxc", "1x-3x4", "1.5x3x4", "0x3x4", "1x3x٤", f"1x3x{10**10}"])
def test_a_text_that_is_not_a_shape_is_rejected(text):
    with pytest.raises(ShapeError, match="write NxHxW"):
        parse_shape(text)


@pytest.mark.parametrize("text", ["32", "1x2x3", "0x32", "32x", "-1x2", ""])
def test_a_text_that_is_not_a_size_is_rejected(text):
    with pytest.raises(ShapeError, match="write HxW, as in 360x480"):
        parse_size(text)


def test_sizes_and_shapes_are_read_and_written():
    assert parse_size(" 033X47 ") == (33, 47)
    assert parse_shape(" 2X33x47 ") == (2, 33, 47)
    assert shape_text((2, 33, 47)) == "2x33x47"
