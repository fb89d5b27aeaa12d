"""Check the arguments of the Python API by the type hints of its functions, before anything is opened."""

from __future__ import annotations

import inspect
import os
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, wraps
from numbers import Integral, Real
from typing import Annotated, Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from fcn_deploy.errors import FcnDeployError, UnknownNameError
from fcn_deploy.system.apart import apart
from fcn_deploy.system.serialization.decode import ExpectedError, at_least, shown

P = ParamSpec("P")
T = TypeVar("T")

MOST_THREADS = 1024  # with far more, the back-ends end the process without an error
THREADS_PER_CORE = 8  # with many more, threads that wait for each other keep the cores from those that work
MOST_LANES, MOST_WORKERS = 64, 256  # of `predict`: inferences at the same time, threads that decode and write
LONGEST_S = 10**7  # 116 days
Positive = Annotated[int, at_least(1)]
NotNegative = Annotated[float, at_least(0, noun="a number")]
Seconds = Annotated[float, at_least(0, LONGEST_S, noun="a number")]

_KINDS: dict[Any, tuple[type, str]] = {int: (Integral, "an integer"), float: (Real, "a number"), str: (str, "text")}


def most_threads_here() -> int:
    """Return how many threads a runner may have on this machine."""
    return min(MOST_THREADS, THREADS_PER_CORE * (os.cpu_count() or 1))


def _for_this_machine(threads: int) -> int:
    if threads > (most := most_threads_here()):
        raise ExpectedError(f"at most {most} on this machine")
    return threads


Threads = Annotated[int, at_least(1, MOST_THREADS), _for_this_machine]


def checked(function: Callable[P, T]) -> Callable[P, T]:
    """Check the arguments of `function` by its type hints, as `fitting` does; no file it reads may be an output."""
    signature = inspect.signature(function)
    hints = lru_cache(lambda: _hints(function))

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        bound = signature.bind(*args, **kwargs)
        for name, value in bound.arguments.items():
            if name in hints():
                found = bound.arguments[name] = fitting(name, hints()[name], value)
                if found == () and signature.parameters[name].default != ():
                    raise FcnDeployError(f"{name} is empty; expected at least one")
        with apart():
            return function(*bound.args, **bound.kwargs)

    return call


def checked_fields(kind: type[T]) -> type[T]:
    """Check the fields of a dataclass in the same way, whenever one is made."""
    kind.__init__ = checked(kind.__init__)  # type: ignore[method-assign]
    return kind


def fitting(name: str, hint: Any, value: Any) -> Any:
    """Return the argument `name` as its type hint has it: a list as a tuple, and one name or path as a list of one.

    A string of several names has commas between them. Hints other than numbers, text, sequences and
    Literals check nothing.

    Raises:
        UnknownNameError: none of the values of a Literal.
        FcnDeployError: another value that does not fit: "threads is 0; expected an integer from 1 to 1024".
    """
    origin, options = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _union(name, options, value)
    if origin is Annotated:
        return _in_range(name, options, value)
    if origin is Literal and value not in options:
        raise UnknownNameError.of(name.replace("_", " "), str(value), options)
    if origin is Sequence:
        return tuple(
            fitting(f"{name}[{index}]", options[0], item) for index, item in enumerate(_items(name, hint, value))
        )
    if origin is tuple:
        if not isinstance(value, (tuple, list)) or len(value) != len(options):
            raise _mismatch(name, value, f"a tuple of {len(options)} numbers")
        return tuple(fitting(f"{name}[{index}]", *pair) for index, pair in enumerate(zip(options, value, strict=True)))
    kind, expected = _KINDS.get(hint, (object, ""))
    if not isinstance(value, kind) or (isinstance(value, bool) and hint in _KINDS):
        raise _mismatch(name, value, expected)
    return value


def _hints(function: Callable[..., Any]) -> Mapping[str, Any]:
    """Return the hints of the named parameters; that of **settings is of no use, and its names are not imported."""
    named = {
        name: parameter.annotation
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is not parameter.VAR_KEYWORD
    }
    owner = types.SimpleNamespace(__annotations__=named)
    return get_type_hints(owner, inspect.getmodule(function).__dict__, include_extras=True)


def _union(name: str, options: Sequence[Any], value: Any) -> Any:
    """Check a value by the only option that is not None, or by the sequence among several."""
    if value is None and type(None) in options:
        return None
    kinds = [option for option in options if option is not type(None)]
    if len(kinds) > 1:
        kinds = [kind for kind in kinds if get_origin(kind) is Sequence]
    return fitting(name, kinds[0], value) if kinds else value


def _in_range(name: str, options: Sequence[Any], value: Any) -> Any:
    kind, *checks = options
    found = fitting(name, kind, value)
    try:
        for check in checks:
            found = check(found)
    except ExpectedError as expected:
        raise _mismatch(name, value, str(expected)) from expected
    return found


def _items(name: str, hint: Any, value: Any) -> Iterable[Any]:
    if isinstance(value, str) and get_args(hint) == (str,):
        return [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, (str, os.PathLike)):
        return [value]
    if not isinstance(value, Iterable):
        raise _mismatch(name, value, "a list")
    return value


def _mismatch(name: str, value: Any, expected: str) -> FcnDeployError:
    return FcnDeployError(f"{name} is {shown(value)}; expected {expected}")
