"""The values that only a recipe has: each reader returns the value in its final type or says what it must be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fcn_deploy.card import class_names
from fcn_deploy.errors import EngineError, RecipeError
from fcn_deploy.system.values import Reader, check_keys, number, read_all, table, texts
from fcn_deploy.vocabulary import Profile, Shape


@dataclass(frozen=True)
class Published:
    """A result that others published for a checkpoint."""

    metric: str
    value: float
    dataset: str
    source: str


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


def profile(value: Any) -> Profile:
    try:
        read: Profile = _table(Profile, value, {"min": shape, "opt": shape, "max": shape})
    except EngineError as error:
        raise RecipeError(str(error)) from error
    return read


def published(value: Any) -> tuple[Published, ...]:
    tables = value if isinstance(value, list) else [value]
    return tuple(_table(Published, item, {"value": number}) for item in tables)


def _table(kind: type[Any], value: Any, readers: Mapping[str, Reader]) -> Any:
    check_keys(kind, table(value))
    return kind(**read_all(value, readers))
