from __future__ import annotations

import json

import pytest

from fcn_deploy.card import ModelCard, ignore_index_for
from fcn_deploy.errors import RecipeError

CARD = ModelCard(
    "fcn8s", ("sky", "road"), {"width": 0.5, "aux": False, "head": "pool5"}, mean=(1.0, 2.5, 3.0), notes={"source": ""}
)


def test_a_card_comes_back_as_it_was_written():
    assert ModelCard.from_json(CARD.to_json()) == CARD


def test_fields_of_a_later_version_are_passed_over():
    assert ModelCard.from_json(json.dumps(json.loads(CARD.to_json()) | {"licence": 3})) == CARD


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("model", 5, "model must be a text that is not empty, not 5"),
        ("model", ["x"], "model must be a text"),
        ("classes", "ab", "classes must be a list of texts"),
        ("classes", [0, 1], "classes must be a list of texts"),
        ("classes", ["a", "a"], "class name 'a' stands at 0 and again at 1"),
        ("classes", [], "at least one class name"),
        ("options", [1], "options must be a table"),
        ("options", {"width": [1]}, "options: width must be a text, a finite number, true or false"),
        ("options", {"width": float("inf")}, "options: width must be"),
        ("mean", ["a", "b", "c"], "mean must be a finite number"),
        ("mean", [1, float("nan"), 3], "mean must be a finite number"),
        ("mean", [1, 10**400, 3], "mean must be a finite number"),
        ("mean", 3, "mean must be three numbers"),
        ("std", [1, 0, 1], "std above 0"),
        ("palette", [[0, 0, 300], [1, 1, 1]], "palette must be a list of colours"),
        ("palette", [[0, 0], [1, 1]], "palette must be a list of colours"),
        ("palette", 7, "palette must be a list of colours"),
        ("palette", [[0, 0, 0]], "the palette has 1 colours for 2 classes"),
        ("channel_order", ["RGB"], "channel_order must be RGB or BGR"),
        ("notes", 3, "notes must be a table"),
        ("notes", {"epoch": 3}, "notes: epoch must be a text"),
    ],
)
def test_a_wrong_value_is_named_with_what_it_must_be(field: str, value: object, message: str):
    with pytest.raises(RecipeError) as caught:
        ModelCard.from_json(json.dumps(json.loads(CARD.to_json()) | {field: value}))
    assert str(caught.value).startswith("the model card cannot be read: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "5", "null", '"x"', "{}", '{"model": "fcn8s"}', "[" * 100_000])
def test_text_that_is_no_card(text: str):
    with pytest.raises(RecipeError, match="the model card cannot be read"):
        ModelCard.from_json(text)


def test_the_label_of_unlabelled_pixels_leaves_uint8_above_255_classes():
    assert [ignore_index_for(count) for count in (1, 255, 256, 300)] == [255, 255, -1, -1]


def test_numbered_names_are_guesses_and_given_ones_are_not():
    assert ModelCard("fcn8s", ("class_0", "class_1")).classes_guessed
    assert not CARD.classes_guessed
