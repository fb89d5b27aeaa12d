"""Numbers as text."""

from __future__ import annotations

from fcn_deploy.system.formatting import milliseconds, points, share, some


def test_one_differing_pixel_never_reads_100_per_cent():
    assert share(9_999_999, 10_000_000) == "99.999"
    assert share(10_000_000, 10_000_000) == "100"
    assert share(0, 0) == "-"


def test_a_difference_reads_0_only_where_there_is_none():
    assert points(0.0) == "0"
    assert points(-0.001) == "-0.00"
    assert points(1.25) == "+1.25"
    assert points(float("nan")) == points(None) == "-"


def test_milliseconds_keep_three_digits():
    assert [milliseconds(value) for value in (0.1234, 1.234, 12.34, 1234.5)] == ["0.123", "1.23", "12.3", "1,234"]


def test_the_names_beyond_the_first_few_are_counted():
    assert some(("a", "b"), 2) == "a, b"
    assert some([str(number) for number in range(1203)], 2) == "0, 1 and 1,201 more"
