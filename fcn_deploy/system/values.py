"""Checking the values of a parsed file (TOML, JSON): each reader returns its final type or says what it must be."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any, Literal

from fcn_deploy.errors import RecipeError

Reader = Callable[[Any], Any]


def check_keys(kind: type[Any], raw: Mapping[str, Any], given: tuple[str, ...] = ()) -> None:
    """Compare the keys of a table with the fields of `kind`, but for those that are `given` otherwise.

    Raises:
        RecipeError: an unknown key, with a near match, or a missing one.
    """
    known = [f for f in fields(kind) if f.name not in given]
    names = [f.name for f in known]
    for key in raw:
        if key not in names:
            near = difflib.get_close_matches(key, names, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise RecipeError(f"unknown key '{key}'{hint} (known: {', '.join(names)})")
    missing = [f.name for f in known if f.default is f.default_factory is MISSING and f.name not in raw]
    if missing:
        raise RecipeError(f"missing {', '.join(missing)}")


def read_all(raw: Mapping[str, Any], readers: Mapping[str, Reader]) -> dict[str, Any]:
    """Every value by its key's reader, text where it has none; RecipeError names the key."""
    return {key: _read(readers.get(key, text), value, key) for key, value in raw.items()}


def _read(reader: Reader, value: Any, key: str) -> Any:
    try:
        return reader(value)
    except TypeError as error:
        raise RecipeError(f"{key} must be {error}, not {value!r}") from error
    except RecipeError as error:
        raise RecipeError(f"{key}: {error}") from error


def text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError("a text that is not empty")
    return value


def any_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a text")
    return value


def texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise TypeError("a list of texts")
    return tuple(value)


def number(value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) <= sys.float_info.max:
        raise TypeError("a finite number")
    return float(value)


def triple(value: Any) -> tuple[float, float, float]:
    if not isinstance(value, list) or len(value) != 3:
        raise TypeError("three numbers")
    return number(value[0]), number(value[1]), number(value[2])


def channel_order(value: Any) -> Literal["RGB", "BGR"]:
    if value != "RGB" and value != "BGR":
        raise TypeError("RGB or BGR")
    return value  # type: ignore[no-any-return]


def table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("a table")
    return value


def table_of(reader: Reader) -> Reader:
    """A reader of a table with any keys, whose every value `reader` reads."""
    return lambda value: read_all(table(value), dict.fromkeys(table(value), reader))
