"""Signatures as descriptions hold them, "(self, name: str, shape: Dims) -> bool", and calls held against them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any


@dataclass(frozen=True)
class Parameter:
    """`kind` is its type in the bindings' words, "" where they do not tell."""

    name: str
    kind: str
    optional: bool


@dataclass(frozen=True)
class Signature:
    """One way to call a function or method.

    Attributes:
        parameters: without `self`; open_ended: there are others, which nobody tells.
        static: no `self` comes first.
    """

    parameters: tuple[Parameter, ...]
    result: str
    open_ended: bool
    static: bool

    def bind(self, arguments: Sequence[Any], named: Mapping[str, Any]) -> dict[Parameter, Any] | None:
        """Parameter -> argument; None if the call does not fit."""
        if len(arguments) > len(self.parameters):
            return None
        given = dict(zip(self.parameters, arguments, strict=False))
        rest = [parameter for parameter in self.parameters if parameter not in given]
        for parameter in rest:
            if parameter.name in named:
                given[parameter] = named[parameter.name]
        complete = all(parameter in given or parameter.optional for parameter in self.parameters)
        return given if complete and len(given) == len(arguments) + len(named) else None


@cache
def parse(text: str) -> Signature:
    """Read one signature."""
    inside, result = _split_result(text)
    words = [word.strip() for word in _split(inside) if word.strip()]
    parameters = tuple(_parameter(word) for word in words if word != "self" and not word.startswith("*"))
    return Signature(parameters, result, any(word.startswith("*") for word in words), "self" not in words)


def _split_result(text: str) -> tuple[str, str]:
    """The text within the outer parentheses and the type after the arrow."""
    depth = 0
    for index, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return text[1:index], text[index + 1 :].replace("->", "").strip()
    raise ValueError(f"no signature: {text}")


def _split(text: str) -> list[str]:
    """At the commas that no bracket holds."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def _parameter(word: str) -> Parameter:
    """ "name: type = default", or "C type name" as Cython tells it."""
    told, equals, _ = word.partition("=")
    name, colon, kind = told.partition(":")
    return Parameter(name.split()[-1], re.sub(r"\s", "", kind) if colon else "", bool(equals))
