"""Plain JSON values into frozen dataclasses, each value checked against its field's type."""

from __future__ import annotations

import types
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from fcn_deploy.errors import RecordError

LARGEST = 2**63 - 1


def decode(kind: Any, raw: Any, where: str = "record") -> Any:
    """`raw` as a value of type `kind`: a dataclass, str, int, float, bool, a tuple, a dict, a Literal or X | None.

    Fields that the dataclass does not have are passed over, so a later version's record can be read.

    Raises:
        RecordError: naming the place ("rows[1].latency.upload_ns[0]"), what was found and what is needed.
    """
    origin = get_origin(kind)
    if kind in (Any, object):
        return raw
    if is_dataclass(kind):
        return _dataclass(kind, raw, where)
    if origin in (Union, types.UnionType):
        (inner,) = (option for option in get_args(kind) if option is not type(None))
        return None if raw is None else decode(inner, raw, where)
    if origin is tuple:
        return _tuple(get_args(kind), raw, where)
    if origin is dict:
        _checked(raw, isinstance(raw, dict), "an object", where)
        return {key: decode(get_args(kind)[1], value, f"{where}.{key}") for key, value in raw.items()}
    if origin is Literal:
        return _checked(raw, raw in get_args(kind), " or ".join(map(str, get_args(kind))), where)
    if kind is float:
        return float(_checked(raw, _is_finite(raw), "a number", where))
    if kind is int:
        _checked(raw, type(raw) is int and -LARGEST <= raw <= LARGEST, "an integer of 64 bits", where)
    return _checked(raw, type(raw) is kind, {str: "text", int: "an integer", bool: "true or false"}[kind], where)


def _is_finite(raw: Any) -> bool:
    """JSON has no NaN and no infinity; Python's reader takes both, and integers of any length."""
    return isinstance(raw, (int, float)) and not isinstance(raw, bool) and -1e300 < raw < 1e300


def _dataclass(kind: Any, raw: Any, where: str) -> Any:
    _checked(raw, isinstance(raw, dict), "an object", where)
    hints = get_type_hints(kind)
    values = {}
    for field in fields(kind):
        if field.name in raw:
            values[field.name] = decode(hints[field.name], raw[field.name], f"{where}.{field.name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise RecordError(f"{where} has no '{field.name}'")
    return kind(**values)


def _tuple(kinds: tuple[Any, ...], raw: Any, where: str) -> tuple[Any, ...]:
    endless = len(kinds) == 2 and kinds[1] is Ellipsis
    needed = "a list" if endless else f"a list of {len(kinds)}"
    _checked(raw, isinstance(raw, list) and (endless or len(raw) == len(kinds)), needed, where)
    each = [kinds[0]] * len(raw) if endless else kinds
    return tuple(decode(kind, value, f"{where}[{i}]") for i, (kind, value) in enumerate(zip(each, raw, strict=True)))


def _checked(raw: Any, fits: bool, needed: str, where: str) -> Any:
    if not fits:
        raise RecordError(f"{where} is {str(raw)[:40]!r}; needed {needed}")
    return raw
