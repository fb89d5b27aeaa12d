"""Checking the values of a recipe: each reader returns the value in its final type or says what it must be."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any

from .errors import RecipeError
from .spec import ChannelOrder, Triple, class_names

Shape = tuple[int, int, int]
Reader = Callable[[Any], Any]


@dataclass(frozen=True)
class Published:
    """A result that others published for a checkpoint."""

    metric: str
    value: float
    dataset: str
    source: str


@dataclass(frozen=True)
class Shapes:
    """N, H, W."""

    min: Shape
    opt: Shape
    max: Shape


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
    missing = [f.name for f in known if f.default is MISSING and f.name not in raw]
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


def file_name(value: Any) -> str:
    if not isinstance(value, str) or value in ("", ".", "..") or re.search(r"[/\\]", value):
        raise TypeError("a file name without a folder")
    return value


def hexadecimal(least: int, most: int | None = None) -> Reader:
    """A reader of that many hexadecimal digits."""
    digits = f"{least} to {most}" if most else f"{least}"

    def read(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(f"[0-9a-f]{{{least},{most or least}}}", value.lower()):
            raise TypeError(f"{digits} hexadecimal digits")
        return value.lower()

    return read


def texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise TypeError("a list of texts")
    return tuple(value)


def classes(value: Any) -> tuple[str, ...]:
    return class_names(texts(value))


def number(value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError("a number")
    return float(value)


def triple(value: Any) -> Triple:
    if not isinstance(value, list) or len(value) != 3:
        raise TypeError("three numbers")
    return number(value[0]), number(value[1]), number(value[2])


def channel_order(value: Any) -> ChannelOrder:
    if value not in ("RGB", "BGR"):
        raise TypeError("RGB or BGR")
    order: ChannelOrder = value
    return order


def shape(value: Any) -> Shape:
    if not isinstance(value, list) or len(value) != 3 or not all(type(item) is int and item > 0 for item in value):
        raise TypeError("three whole numbers above 0 (N, H, W)")
    return value[0], value[1], value[2]


def shapes(value: Any) -> Shapes:
    read: Shapes = _table(Shapes, value, {"min": shape, "opt": shape, "max": shape})
    if any(low > mid or mid > high for low, mid, high in zip(read.min, read.opt, read.max, strict=True)):
        raise TypeError("min <= opt <= max in each of N, H and W")
    return read


def published(value: Any) -> tuple[Published, ...]:
    tables = value if isinstance(value, list) else [value]
    return tuple(_table(Published, item, {"value": number}) for item in tables)


def _table(kind: type[Any], value: Any, readers: Mapping[str, Reader]) -> Any:
    if not isinstance(value, dict):
        raise TypeError("a table")
    check_keys(kind, value)
    return kind(**read_all(value, readers))
