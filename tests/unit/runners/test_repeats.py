"""Something costly for shapes that come again, bounded in number and in how often it is made."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from fcn_deploy.errors import RunnerError
from fcn_deploy.runners import repeats
from fcn_deploy.runners.repeats import RepeatedShapes

A, B, C = (1, 8, 8), (1, 16, 16), (1, 24, 24)


@dataclass
class Kept:
    shape: tuple[int, int, int]
    closed: list[tuple[int, int, int]]
    remark: str = field(default="made")

    def close(self) -> None:
        self.closed.append(self.shape)


@dataclass
class Maker:
    refuses: tuple[tuple[int, int, int], ...] = ()
    made: list[tuple[int, int, int]] = field(default_factory=list)
    closed: list[tuple[int, int, int]] = field(default_factory=list)

    def __call__(self, shape: tuple[int, int, int]) -> Kept:
        self.made.append(shape)
        if shape in self.refuses:
            raise RunnerError("out of memory")
        return Kept(shape, self.closed)


def test_the_first_run_of_a_shape_gets_nothing_and_the_second_makes_it_once():
    make = Maker()
    shapes = RepeatedShapes(make, what="graph")
    assert shapes.get(A) is None
    assert make.made == []
    kept = shapes.get(A)
    assert kept is not None
    assert kept.shape == A
    assert shapes.get(A) is kept
    assert make.made == [A]
    assert shapes.remarks == ("1x8x8: made",)


def test_a_shape_waits_until_it_is_worth_it():
    make, worth = Maker(), [False, False, True]
    shapes = RepeatedShapes(make, what="graph", worth=lambda shape: worth.pop(0))
    assert [shapes.get(A) is None for _ in range(5)] == [True, True, True, False, False]
    assert make.made == [A]


def test_the_least_recently_used_makes_room_for_a_shape_that_came_twice_as_often():
    make = Maker()
    shapes = RepeatedShapes(make, what="graph", capacity=2)
    for shape in (A, A, B, B, A):
        shapes.get(shape)
    assert shapes.get(C) is None
    assert shapes.get(C) is not None
    assert make.closed == [B]
    assert [shapes.get(B) is None for _ in range(4)] == [True, True, True, False]
    assert make.closed == [B, A]
    assert "more than 2 shapes come again" in shapes.remarks[-2]
    assert len(shapes) == 2


@pytest.mark.parametrize("seed", range(3))
def test_shapes_in_any_order_cost_a_logarithm_of_the_runs(seed):
    make, chance = Maker(), random.Random(seed)
    shapes = RepeatedShapes(make, what="graph", capacity=4)
    for _ in range(10_000):
        shape = (1, chance.randint(1, 20), 8)
        kept = shapes.get(shape)
        assert kept is None or kept.shape == shape
    assert len(make.made) <= 4 + 14  # log2(10,000) < 14
    assert len(shapes) == 4
    assert len(make.made) - len(make.closed) == 4


def test_a_shape_that_cannot_have_one_is_tried_once_and_says_why():
    make = Maker(refuses=(A,))
    shapes = RepeatedShapes(make, what="CUDA graph")
    assert [shapes.get(A) for _ in range(5)] == [None] * 5
    assert make.made == [A]
    assert shapes.remarks == ("1x8x8 has no CUDA graph: out of memory",)


def test_an_error_is_raised_where_nothing_else_may_run():
    shapes = RepeatedShapes(Maker(refuses=(A,)), what="compiled network", strict=True)
    shapes.get(A)
    with pytest.raises(RunnerError, match="out of memory"):
        shapes.get(A)


def test_all_is_given_up_for_good_and_reported_once():
    make = Maker()
    shapes = RepeatedShapes(make, what="graph")
    assert not shapes.drop("no memory")
    for shape in (A, A, B, B):
        shapes.get(shape)
    assert shapes.drop("no memory")
    assert sorted(make.closed) == [A, B]
    assert [shapes.get(A) for _ in range(3)] == [None] * 3
    assert shapes.remarks[-1] == "gave up each shape's graph: no memory"


def test_none_are_kept_where_none_may_be():
    shapes = RepeatedShapes(Maker(), what="graph", capacity=0)
    assert [shapes.get(A) for _ in range(4)] == [None] * 4


def test_a_shape_whose_own_failed_is_run_without_from_then_on():
    make = Maker()
    shapes = RepeatedShapes(make, what="graph")
    shapes.get(A)
    assert shapes.get(A) is not None
    shapes.refuse(A, "illegal access")
    assert make.closed == [A]
    assert [shapes.get(A) for _ in range(3)] == [None] * 3
    assert shapes.remarks[-1] == "1x8x8 has lost its graph: illegal access"


def test_sizes_without_number_are_forgotten(monkeypatch):
    monkeypatch.setattr(repeats, "MOST_COUNTED", 10)
    shapes = RepeatedShapes(Maker(), what="graph")
    for side in range(1, 100):
        assert shapes.get((1, side, side)) is None
    assert len(shapes._runs) <= 10
    shapes.get(A)
    assert shapes.get(A) is not None
