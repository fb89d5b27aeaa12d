"""The values that only a recipe has: each reader returns the value in its final type or says what it must be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fcn_deploy.card import class_names
from fcn_deploy.system.values import Reader, check_keys, number, read_all, table, texts

Shape = tuple[int, int, int]


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


def classes(value: Any) -> tuple[str, ...]:
    return class_names(texts(value))


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
    check_keys(kind, table(value))
    return kind(**read_all(value, readers))
