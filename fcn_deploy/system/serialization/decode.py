"""Decode parsed JSON or TOML into frozen dataclasses by their type hints (the way back is `plain`).

A hint may add checks: `Annotated[int, at_least(0)]`. A check is a function that returns the value to keep, or raises
`ExpectedError` ("64 hexadecimal digits") or an FcnDeployError with a sentence of its own.
"""

from __future__ import annotations

import json
import re
import sys
import types
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from fcn_deploy.errors import FcnDeployError, UnknownNameError
from fcn_deploy.system.serialization.nesting import TOO_DEEP, check_nesting

LARGEST = 2**63 - 1
SHOWN = 40  # characters of a wrong value that a message repeats
T = TypeVar("T")

_SCALARS = {
    str: "text", Path: "a path", int: "an integer of 64 bits", float: "a finite number", bool: "true or false",
}  # fmt: skip


def is_schema(value: Any, *known: int) -> bool:
    """Tell whether a file's "schema" is one of `known`; true, which Python calls equal to 1, is not."""
    return type(value) is int and value in known


class ExpectedError(ValueError):
    """A check's answer to a value that does not pass: what was expected instead."""


class _FaultError(Exception):
    """What is wrong with a value; `path` grows from the value outwards (".latency.upload_ns[0]")."""

    def __init__(self, sentence: str, *, of_value: bool = False) -> None:
        super().__init__(sentence)
        self.of_value, self.path = of_value, ""

    def __str__(self) -> str:
        path = self.path.removeprefix(".")
        if self.of_value:
            return f"{path or 'it'} {self.args[0]}"
        return f"{path}: {self.args[0]}" if path else str(self.args[0])


def decode(
    kind: type[T],
    raw: Any,
    source: str,
    error: type[FcnDeployError],
    *,
    strict: bool = False,
    given: Mapping[str, Any] | None = None,
) -> T:
    """Check `raw` against a type and return it as a value of that type.

    Args:
        kind: a dataclass, str, int, float, bool, Path, a tuple, list or mapping, Literal, X | Y or Annotated.
        source: the file, for the message.
        error: raised for a value that does not fit.
        strict: refuse keys that a dataclass does not have; otherwise they are ignored, so a later version's file can
            be read.
        given: fields of the outermost dataclass that are not in the file.

    Raises:
        FcnDeployError: of type `error`: "SOURCE: rows[1].latency.upload_ns[0] is 'x'; expected an integer of 64 bits".
    """
    decoder = _Decoder(strict)
    try:
        value: T = decoder.object(kind, raw, given or {}) if is_dataclass(kind) else decoder.value(kind, raw)
    except _FaultError as fault:
        raise error(f"{source}: {fault}") from fault
    return value


def parse_json(text: str, source: str, error: type[FcnDeployError]) -> Any:
    """Parse JSON, behind a byte order mark too; raise `error`, naming `source`, for other text or deep nesting."""
    try:
        value = json.loads(text.removeprefix("\ufeff"))
        check_nesting(value)
    except RecursionError as failure:
        raise error(f"{source}: {TOO_DEEP}") from failure
    except ValueError as failure:
        raise error(f"{source}: it is not JSON: {failure}") from failure
    return value


def matching(pattern: str, expected: str) -> Callable[[str], str]:
    """Check that text matches a regular expression as a whole."""

    def check(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            raise ExpectedError(expected)
        return text

    return check


def at_least(least: int, most: int | None = None, noun: str = "an integer") -> Callable[[float], float]:
    """Check that a number is `least` or more, and not above `most`; nan is neither."""
    expected = f"{noun} of {least} or more" if most is None else f"{noun} from {least} to {most}"

    def check(number: float) -> float:
        if not number >= least or (most is not None and number > most):
            raise ExpectedError(expected)
        return number

    return check


Filled = Annotated[str, matching(r"(?s).+", "text that is not empty")]
Count = Annotated[int, at_least(0)]


@dataclass(frozen=True)
class _Decoder:
    strict: bool

    def value(self, kind: Any, raw: Any) -> Any:
        if kind in _SCALARS:
            return _scalar(kind, raw)
        if kind in (Any, object):
            return raw
        if is_dataclass(kind):
            return self.object(kind, raw, {})
        origin, options = get_origin(kind), get_args(kind)
        if origin is tuple:
            return self._tuple(options, raw)
        if origin is list:
            return list(self._tuple((*options, ...), raw))
        if origin in (Union, types.UnionType):
            return self._union(options, raw)
        if origin is Annotated:
            return self._checked(options[0], options[1:], raw)
        if origin is Literal:
            return _fitting(raw, raw in options, " or ".join(map(str, options)))
        return self._mapping(options[1], raw)

    def object(self, kind: Any, raw: Any, given: Mapping[str, Any]) -> Any:
        _fitting(raw, isinstance(raw, dict), "a table of keys and values")
        known = [part for part in fields(kind) if part.name not in given]
        names = [part.name for part in known]
        if self.strict:
            for key in raw:
                if key not in names:
                    raise _FaultError(str(UnknownNameError.of("key", key, names)))
        missing = [part.name for part in known if part.default is part.default_factory is MISSING]
        if not raw.keys() >= set(missing):
            raise _FaultError(f"missing {', '.join(name for name in missing if name not in raw)}")
        hints = _hints(kind)
        values = {name: self._within(name, hints[name], raw[name]) for name in names if name in raw}
        try:
            return kind(**values, **given)
        except FcnDeployError as error:
            raise _FaultError(str(error)) from error

    def _within(self, step: str | int, kind: Any, raw: Any) -> Any:
        try:
            return self.value(kind, raw)
        except _FaultError as fault:
            fault.path = (f"[{step}]" if isinstance(step, int) else f".{step}") + fault.path
            raise

    def _mapping(self, kind: Any, raw: Any) -> dict[str, Any]:
        _fitting(raw, isinstance(raw, dict), "a table of keys and values")
        return {key: self._within(key, kind, value) for key, value in raw.items()}

    def _tuple(self, kinds: tuple[Any, ...], raw: Any) -> tuple[Any, ...]:
        endless = len(kinds) == 2 and kinds[1] is Ellipsis
        fits = isinstance(raw, list) and (endless or len(raw) == len(kinds))
        _fitting(raw, fits, "a list" if endless else f"a list of {len(kinds)}")
        each = [kinds[0]] * len(raw) if endless else kinds
        return tuple(self._within(index, *pair) for index, pair in enumerate(zip(each, raw, strict=True)))

    def _union(self, options: tuple[Any, ...], raw: Any) -> Any:
        """Decode as the only option that is not None, or as the first scalar that fits."""
        if raw is None and type(None) in options:
            return None
        kinds = [option for option in options if option is not type(None)]
        if len(kinds) == 1:
            return self.value(kinds[0], raw)
        for kind in kinds:
            with suppress(_FaultError):
                return _scalar(kind, raw)
        raise _mismatch(raw, " or ".join(_SCALARS[kind] for kind in kinds))

    def _checked(self, kind: Any, checks: tuple[Callable[[Any], Any], ...], raw: Any) -> Any:
        value = self.value(kind, raw)
        try:
            for check in checks:
                value = check(value)
        except ExpectedError as expected:
            raise _mismatch(raw, str(expected)) from expected
        except FcnDeployError as error:
            raise _FaultError(str(error)) from error
        return value


@lru_cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _scalar(kind: Any, raw: Any) -> Any:
    """Python's reader takes NaN, infinities and integers of any length, which JSON does not have."""
    number = isinstance(raw, (int, float)) and not isinstance(raw, bool)
    if kind is float:
        return float(_fitting(raw, number and abs(raw) <= sys.float_info.max, _SCALARS[float]))
    if kind is Path:
        return Path(_fitting(raw, type(raw) is str, _SCALARS[Path]))
    fits = type(raw) is kind and (kind is not int or -LARGEST <= raw <= LARGEST)
    return _fitting(raw, fits, _SCALARS[kind])


def _fitting(raw: Any, fits: bool, expected: str) -> Any:
    if not fits:
        raise _mismatch(raw, expected)
    return raw


def _mismatch(raw: Any, expected: str) -> _FaultError:
    return _FaultError(f"is {shown(raw)}; expected {expected}", of_value=True)


def shown(value: object) -> str:
    """Return the beginning of a wrong value, as a message repeats it."""
    found = repr(value)
    return found if len(found) <= SHOWN else f"{found[:SHOWN]}..."
