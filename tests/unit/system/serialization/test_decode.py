"""Every kind of hint is read and written, and a value that does not fit is named with its place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from fcn_deploy.errors import EngineError, RecipeError
from fcn_deploy.system.serialization.decode import Count, Filled, at_least, decode, matching, parse_json
from fcn_deploy.system.serialization.plain import plain


@dataclass(frozen=True)
class Inner:
    size: tuple[int, int]
    low: float = 0.5

    def __post_init__(self) -> None:
        if self.low > 1:
            raise EngineError(f"low must be at most 1, not {self.low}")


def upper(text: str) -> str:
    return text.upper()


@dataclass(frozen=True)
class Outer:
    name: Filled
    inner: tuple[Inner, ...]
    mode: Literal["fast", "slow"] = "fast"
    digits: Annotated[str, matching("[0-9a-f]{4}", "4 hexadecimal digits"), upper] | None = None
    counts: Mapping[str, Count] = field(default_factory=dict)
    level: Annotated[int, at_least(0, 5)] = 3
    option: str | int | float | bool = 1
    folder: Path = Path("x")
    anything: Any = None
    on: bool = False


PLAIN = {
    "name": "n", "inner": [{"size": [3, 5], "low": 1}, {"size": [7, 9]}], "mode": "slow", "digits": "00af",
    "counts": {"a": 0}, "level": 5, "option": True, "folder": "a/b", "anything": [None, {"x": 1}], "on": True,
}  # fmt: skip
VALUE = Outer(
    "n", (Inner((3, 5), 1.0), Inner((7, 9))), "slow", "00AF", {"a": 0}, 5, True, Path("a/b"), [None, {"x": 1}], True
)


def test_each_value_comes_in_the_type_of_its_field_and_goes_back_to_plain_data():
    found = decode(Outer, PLAIN, "f.json", RecipeError)
    assert found == VALUE
    assert type(found.inner[0].low) is float
    written = json.loads(json.dumps(plain(found)))
    assert written == PLAIN | {"digits": "00AF", "inner": [PLAIN["inner"][0], {"size": [7, 9], "low": 0.5}]}


def test_a_field_that_the_file_has_not_is_its_default_or_given():
    found = decode(Outer, {"inner": []}, "f", RecipeError, given={"name": ""})
    assert found == Outer("", ())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": ""}, "f.json: name is ''; expected text that is not empty"),
        ({"name": None}, "f.json: name is None; expected text"),
        ({"inner": [{"size": [1, 2]}, {"size": [1]}]}, "f.json: inner[1].size is [1]; expected a list of 2"),
        ({"inner": [{"size": [1, "2"]}]}, "f.json: inner[0].size[1] is '2'; expected an integer of 64 bits"),
        ({"inner": [{"size": [1, 2], "low": 2}]}, "f.json: inner[0]: low must be at most 1, not 2.0"),
        ({"inner": [{}]}, "f.json: inner[0]: missing size"),
        ({"mode": "quick"}, "f.json: mode is 'quick'; expected fast or slow"),
        ({"digits": "xyz"}, "f.json: digits is 'xyz'; expected 4 hexadecimal digits"),
        ({"counts": {"a": -1}}, "f.json: counts.a is -1; expected an integer of 0 or more"),
        ({"level": 6}, "f.json: level is 6; expected an integer from 0 to 5"),
        (
            {"option": None},
            "f.json: option is None; expected text or an integer of 64 bits or a finite number or true or false",
        ),
        ({"folder": 3}, "f.json: folder is 3; expected a path"),
        ({"on": 1}, "f.json: on is 1; expected true or false"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_place(change: dict[str, Any], message: str):
    with pytest.raises(RecipeError) as caught:
        decode(Outer, PLAIN | change, "f.json", RecipeError)
    assert str(caught.value) == message


def test_a_long_value_is_shortened_in_the_message():
    with pytest.raises(RecipeError, match=r"^f: it is \[0, 0, 0, 0, .{27}\.\.\.; expected a table of keys and values$"):
        decode(Outer, [0] * 999, "f", RecipeError)


def test_unknown_keys_are_ignored_or_refused_with_a_near_match():
    assert decode(Outer, PLAIN | {"nmae": 1}, "f", RecipeError) == VALUE  # codespell:ignore nmae
    with pytest.raises(RecipeError, match=r"^f: unknown key 'nmae'; did you mean name\? \(known: anything, counts"):
        decode(Outer, PLAIN | {"nmae": 1}, "f", RecipeError, strict=True)  # codespell:ignore nmae
    with pytest.raises(RecipeError, match=r"^f: inner\[0\]: unknown key 'lo'; did you mean low"):
        decode(Outer, PLAIN | {"inner": [{"size": [1, 2], "lo": 0}]}, "f", RecipeError, strict=True)


@pytest.mark.parametrize("text", ["", "{", "1" * 5000])
def test_text_that_is_not_json_is_an_error_with_the_name_of_the_file(text: str):
    with pytest.raises(EngineError, match=r"^f\.json: it is not JSON: "):
        parse_json(text, "f.json", EngineError)


@pytest.mark.parametrize("text", ["[" * 100_000, "[" * 200 + "]" * 200, '{"a": ' * 800 + "1" + "}" * 800])
def test_json_that_is_nested_too_deep_is_an_error(text: str):
    with pytest.raises(EngineError, match=r"^f\.json: its lists or tables are nested more than 100 deep$"):
        parse_json(text, "f.json", EngineError)
    assert plain(parse_json("[" * 100 + "]" * 100, "f.json", EngineError)) != []


def test_a_byte_order_mark_is_no_part_of_json():
    assert parse_json("\ufeff[1]", "a.json", RecipeError) == [1]
