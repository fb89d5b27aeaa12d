"""Modules that have exactly what a description lists: another attribute is an AttributeError, as with the real one.

A double does nothing itself. It checks each call against the real signatures (names, number and types of arguments)
and hands it to an object that computes: of a module, class or method of the same name.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

from tests.api.signature import Signature, parse

Description = Mapping[str, Any]
_BUFFERS = ("IHostMemory",)


class Member:
    """An enumerator. It is equal to nothing but itself."""

    __slots__ = ("name", "value")

    def __init__(self, name: str, value: int) -> None:
        self.name, self.value = name, value

    def __int__(self) -> int:
        return self.value

    __index__ = __int__

    def __str__(self) -> str:
        return f"{type(self).__name__}.{self.name}"


class Double(ModuleType):
    """A module of the classes that `description` lists, over `behind`, the module that computes.

    Attributes:
        behind: may be exchanged.
        touched: "Class.member" of every method called and property read or set, and the names of functions called.
    """

    def __init__(self, name: str, description: Description, behind: Any) -> None:
        super().__init__(name)
        self.__version__ = description.get("__version__", "")
        self.touched: set[str] = set()
        self.behind = behind
        self._description = description
        self._kinds: dict[str, Any] = {}
        self._lock = threading.RLock()  # two threads that ask for a class at once must get the same

    def __getattr__(self, name: str) -> Any:
        """Classes and functions are made when they are first asked for; most never are."""
        told = None if name.startswith("_") else self._description.get(name)
        if told is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        made = self._kind(name) if isinstance(told, dict) else _function(self, name, [parse(text) for text in told])
        setattr(self, name, made)
        return made

    def _kind(self, name: str) -> Any:
        """The class of that name, dotted if it is within another; None if the module has none."""
        told = self._description.get(name)
        with self._lock:
            if name not in self._kinds and isinstance(told, dict):
                made = self._kinds[name] = _class(self, name, told)
                for inner in self._description:
                    outer, _, last = inner.rpartition(".")
                    if outer == name:
                        setattr(made, last, self._kind(inner))
            return self._kinds.get(name)

    def call(self, where: str, overloads: Sequence[Signature], call: Any, arguments: Any, named: Any) -> Any:
        """`call` the function behind with what the arguments stand for, if one of the signatures takes them."""
        self.touched.add(where)
        if not overloads or overloads[0].open_ended:
            return self.wrap("", call(*map(self.unwrap, arguments), **{k: self.unwrap(v) for k, v in named.items()}))
        for signature in overloads:
            bound = signature.bind(arguments, named)
            if bound is not None and all(self.fits(parameter.kind, value) for parameter, value in bound.items()):
                return self.wrap(signature.result, call(*(self.unwrap(value) for value in bound.values())))
        raise TypeError(f"{where}: {arguments} {named} do not fit; it takes {overloads}")

    def fits(self, kind: str, value: Any) -> bool:
        """Whether a value may be given where the bindings want `kind`."""
        if kind == "Dims" and isinstance(value, (tuple, list)):
            return all(hasattr(number, "__index__") for number in value)
        wanted = self._kind(kind)
        if wanted is not None:
            nothing = value is None and kind != "Dims" and not issubclass(wanted, Member)
            return nothing or isinstance(value, wanted)
        if kind in ("int", "SupportsInt"):
            return hasattr(type(value), "__index__")
        if kind in ("buffer", "Buffer"):
            return isinstance(value, (bytes, bytearray, memoryview))
        plain = {"str": str, "bool": bool, "tuple": tuple, "list": list}
        return kind not in plain or isinstance(value, plain[kind])

    def wrap(self, kind: str, value: Any) -> Any:
        """What the module behind gave, as the real module's type of it."""
        if kind.lower().startswith("list["):
            return [self.wrap(kind[5:-1], item) for item in value]
        if isinstance(value, tuple) and not kind:
            return tuple(self.wrap("", item) for item in value)
        found = self._kind(kind or type(value).__name__ if isinstance(value, enum.Enum) else kind)
        if isinstance(value, enum.Enum) and found is not None:
            return getattr(found, value.name)
        if value is None or found is None or isinstance(value, (Member, found)):
            return value
        made: Any = found.__new__(found)
        if kind in _BUFFERS:
            bytearray.__init__(made, value)
        made._behind = value
        return made

    def use(self, behind: Any) -> Double:
        """Itself, computing with another module from now on."""
        self.behind = behind
        return self

    def unwrap(self, value: Any) -> Any:
        """What a double stands for; an enumerator is the one of that name behind, or itself where there is none."""
        if isinstance(value, Member):
            kind = getattr(self.behind, type(value).__name__, None)
            return value if kind is None else kind[value.name]
        if not isinstance(value, tuple(self._kinds.values())):
            return value
        ours: Any = value
        return Called(self, ours) if hasattr(ours, "__dict__") else ours._behind


class Called:
    """An object of a class that our code derived from one of the module's, as the library calls it: by position."""

    def __init__(self, double: Double, ours: Any) -> None:
        self._double, self._ours = double, ours

    def __getattr__(self, name: str) -> Callable[..., Any]:
        base: Any = next(kind for kind in type(self._ours).__mro__ if "overloads" in vars(kind))
        (signature,) = base.overloads[name]

        def call(*arguments: Any) -> Any:
            self._double.touched.add(f"{base.__name__}.{name}")
            wrapped = [
                self._double.wrap(p.kind, value) for p, value in zip(signature.parameters, arguments, strict=True)
            ]
            result = getattr(self._ours, name)(*wrapped)
            assert signature.result != "bool" or isinstance(result, bool), f"{name} must answer with a bool"
            return result

        return call


def _class(double: Double, name: str, told: Mapping[str, Any]) -> type:
    behind = getattr(double.behind, name, None)
    if isinstance(behind, type) and issubclass(behind, BaseException):
        return behind  # raised behind, caught before
    return _enum(name, told["enum"]) if "enum" in told else _kind(double, name, told)


def _enum(name: str, members: Mapping[str, int]) -> type:
    kind = type(name.rpartition(".")[2], (Member,), {"__slots__": ()})
    made = {key: kind(key, value) for key, value in members.items()}
    for key, member in made.items():
        setattr(kind, key, member)
    kind.__members__ = made  # type: ignore[attr-defined]
    return kind


def _kind(double: Double, name: str, told: Mapping[str, Any]) -> type:
    overloads = {key: [parse(text) for text in texts] for key, texts in told["methods"].items()}
    space: dict[str, Any] = {"__slots__": ("_behind",), "overloads": overloads}
    bases: tuple[type, ...] = (bytearray,) if name in _BUFFERS else ()
    for key in dir(bytearray) if bases else ():
        if not key.startswith("_"):
            space[key] = property()  # reading it is an AttributeError
    for key, signatures in overloads.items():
        static = bool(signatures) and signatures[0].static
        space[key] = (_static if static else _method)(double, name, key, signatures)
    for key, kind in told["properties"].items():
        behind = getattr(double.behind, name, None)
        space[key] = getattr(behind, key, None) if kind == "constant" else _property(double, f"{name}.{key}", key, kind)
    space["__init__"] = _constructor(double, name, overloads.get("__init__", []))
    return type(name.rpartition(".")[2], bases, space)


def _constructor(double: Double, name: str, overloads: list[Signature]) -> Callable[..., None]:
    def construct(self: Any, *arguments: Any, **named: Any) -> None:
        if not overloads:
            raise TypeError(f"{name}: No constructor defined!")
        ours = type(self) is not getattr(double, name)  # derived: the library calls it, nothing is behind it
        make = (lambda *_: None) if ours else getattr(double.behind, name)
        self._behind = double.call(f"{name}.__init__", overloads, make, arguments, named)

    return construct


def _method(double: Double, kind: str, name: str, overloads: list[Signature]) -> Callable[..., Any]:
    def method(self: Any, *arguments: Any, **named: Any) -> Any:
        return double.call(f"{kind}.{name}", overloads, getattr(self._behind, name), arguments, named)

    return method


def _static(double: Double, kind: str, name: str, overloads: list[Signature]) -> Any:
    def function(*arguments: Any, **named: Any) -> Any:
        call = getattr(getattr(double.behind, kind), name)
        return double.call(f"{kind}.{name}", overloads, call, arguments, named)

    return staticmethod(function)


def _function(double: Double, name: str, overloads: list[Signature]) -> Callable[..., Any]:
    return lambda *arguments, **named: double.call(name, overloads, getattr(double.behind, name), arguments, named)


def _property(double: Double, where: str, name: str, told: str) -> property:
    kind = told.removesuffix("=").strip()

    def read(self: Any) -> Any:
        double.touched.add(where)
        return double.wrap(kind, getattr(self._behind, name))

    def write(self: Any, value: Any) -> None:
        double.touched.add(where)
        if not double.fits(kind, value):
            raise TypeError(f"{where} is of {kind}, not {value!r}")
        setattr(self._behind, name, double.unwrap(value))

    return property(read, write if told.endswith("=") else None)
