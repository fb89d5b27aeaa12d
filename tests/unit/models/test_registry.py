"""Models by their names and options."""

from __future__ import annotations

import pytest

from fcn_deploy.errors import RecipeError, UnknownNameError
from fcn_deploy.models.registry import build, new_card

CLASSES = ("sky", "road", "pole")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"head": "fc8"}, "head must be fc or pool5, not fc8"),
        ({"width": 0}, "width must be above 0"),
        ({"width": float("nan")}, "width must be above 0"),
        ({"upsampling": "nearest"}, "upsampling must be one of bilinear, random"),
        ({"depth": 3}, "depth"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, object], message: str):
    with pytest.raises(RecipeError, match=message):
        build(new_card("fcn8s", CLASSES, **options))  # type: ignore[arg-type]


def test_a_mistyped_model_name_brings_the_near_one():
    with pytest.raises(UnknownNameError, match="did you mean fcn8s"):
        new_card("fcn-8s", CLASSES)
