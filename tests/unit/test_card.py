from __future__ import annotations

import json

import pytest

from fcn_deploy.card import ModelCard, class_names, ignore_index_for
from fcn_deploy.errors import RecipeError

CARD = ModelCard(
    "fcn8s", ("sky", "road"), {"width": 0.5, "aux": False, "head": "pool5"}, mean=(1.0, 2.5, 3.0), notes={"source": ""}
)


def test_a_card_comes_back_as_it_was_written():
    assert ModelCard.from_json(CARD.to_json(), "net.onnx") == CARD


def test_fields_of_a_later_version_are_passed_over():
    assert ModelCard.from_json(json.dumps(json.loads(CARD.to_json()) | {"licence": 3}), "net.onnx") == CARD


def test_many_class_names_are_compared_at_once():
    names = [f"class {index}" for index in range(100_000)]  # two and two, these would take minutes
    assert class_names(names) == tuple(names)
    with pytest.raises(RecipeError, match="'class 9' appears at 9 and again at 99999"):
        class_names([*names[:-1], "class 9"])


def test_class_names_beyond_any_data_set_are_refused():
    with pytest.raises(RecipeError, match="100001 class names; expected 100000 at most"):
        class_names(["x"] * 100_001)
    with pytest.raises(RecipeError, match="class 1 has a name of 1001 characters; expected 1000 at most"):
        class_names(["x", "y" * 1001])


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("model", 5, "model is 5; expected text"),
        ("model", ["x"], "model is ['x']; expected text"),
        ("classes", "ab", "classes is 'ab'; expected a list"),
        ("classes", [0, 1], "classes[0] is 0; expected text"),
        ("classes", ["a", "a"], "class name 'a' appears at 0 and again at 1"),
        ("classes", [], "at least one class name"),
        ("options", [1], "options is [1]; expected a table"),
        (
            "options",
            {"width": [1]},
            "options.width is [1]; expected text or an integer of 64 bits or a finite number or true",
        ),
        ("options", {"width": float("inf")}, "options.width is inf"),
        ("mean", ["a", "b", "c"], "mean[0] is 'a'; expected a finite number"),
        ("mean", [1, float("nan"), 3], "mean[1] is nan; expected a finite number"),
        ("mean", [1, 10**400, 3], "mean[1] is 1000000"),
        ("mean", 3, "mean is 3; expected a list of 3"),
        ("std", [1, 0, 1], "std above 0"),
        ("palette", [[0, 0, 300], [1, 1, 1]], "palette[0][2] is 300; expected an integer from 0 to 255"),
        ("palette", [[0, 0], [1, 1]], "palette[0] is [0, 0]; expected a list of 3"),
        ("palette", 7, "palette is 7; expected a list"),
        ("palette", [[0, 0, 0]], "the palette has 1 colours for 2 classes"),
        ("channel_order", ["RGB"], "channel_order is ['RGB']; expected RGB or BGR"),
        ("notes", 3, "notes is 3; expected a table"),
        ("notes", {"epoch": 3}, "notes.epoch is 3; expected text"),
    ],
)
def test_a_wrong_value_is_named_with_what_it_must_be(field: str, value: object, message: str):
    with pytest.raises(RecipeError) as caught:
        ModelCard.from_json(json.dumps(json.loads(CARD.to_json()) | {field: value}), "net.onnx")
    assert str(caught.value).startswith("net.onnx: the model card cannot be read: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "5", "null", '"x"', "{}", '{"model": "fcn8s"}', "[" * 100_000])
def test_text_that_is_no_card(text: str):
    with pytest.raises(RecipeError, match=r"^net\.onnx: the model card cannot be read"):
        ModelCard.from_json(text, "net.onnx")


def test_the_label_of_unlabelled_pixels_leaves_uint8_above_255_classes():
    assert [ignore_index_for(count) for count in (1, 255, 256, 300)] == [255, 255, -1, -1]


def test_numbered_names_are_guesses_and_given_ones_are_not():
    assert ModelCard("fcn8s", ("class_0", "class_1")).classes_guessed
    assert not CARD.classes_guessed
