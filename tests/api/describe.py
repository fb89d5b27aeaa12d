"""What an extension module offers, as its own docstrings tell it: enums, classes, methods, properties, functions.

Run as a program it imports nothing but the module it is asked for, and prints JSON:

    python describe.py tensorrt_bindings [name ...]
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

# Special methods that code reaches through syntax: len(dims), dims[0], int(allocation).
SPECIAL = ("__init__", "__len__", "__getitem__", "__iter__", "__int__", "__index__", "__bool__")
_DEFAULT = re.compile(r"<([\w.]+): -?\d+>")


def describe(module: Any) -> dict[str, Any]:
    """Class or function name -> what it has; see `_class`. Nested classes have dotted names."""
    found: dict[str, Any] = {"__version__": getattr(module, "__version__", "")}
    for name, value in sorted(vars(module).items()):
        if name.startswith("_") or inspect.ismodule(value):
            continue
        if inspect.isclass(value):
            found.update(_classes(name, value))
        elif callable(value):
            found[name] = signatures(value.__doc__, name) or ["(*args, **kwargs)"]
    return found


def _classes(name: str, kind: type) -> Iterator[tuple[str, Any]]:
    yield name, _class(kind)
    for inner, value in vars(kind).items():
        if inspect.isclass(value) and not inner.startswith("_"):
            yield f"{name}.{inner}", _class(value)


def _class(kind: type) -> dict[str, Any]:
    """`enum`: member -> number; or `methods`: name -> signatures, and `properties`: name -> type.

    A property that can be set ends in " =". `bases` are those classes of the module that it is made from; what they
    have is listed here too. What Python's own classes give (int, Exception) is not.
    """
    if hasattr(kind, "__members__"):
        return {"enum": {name: int(member.value) for name, member in kind.__members__.items()}}
    own = {name: inspect.getattr_static(kind, name) for name in dir(kind) if _own(kind, name)}
    methods = {name: _signatures(kind, name, value) for name, value in own.items() if _callable(value)}
    if type(kind) is type and methods.get("__init__") == []:  # Python's and Cython's tell nothing of theirs
        methods["__init__"] = ["(self, *args)"]
    rest = {name: _property(value) for name, value in own.items() if name not in methods and not inspect.isclass(value)}
    bases = [base.__name__ for base in kind.__mro__[1:] if base.__module__ == kind.__module__]
    return {"bases": bases, "methods": methods, "properties": rest}


def _own(kind: type, name: str) -> bool:
    if name[0] == "_" and name not in SPECIAL:
        return False
    owner = next((base for base in kind.__mro__ if name in vars(base)), object)
    return owner.__module__ != "builtins"


def _callable(value: Any) -> bool:
    return not inspect.isclass(value) and (callable(value) or isinstance(value, (staticmethod, classmethod)))


def _signatures(kind: type, name: str, value: Any) -> list[str]:
    """Of a method: the first parameter is called "self" unless it is static."""
    told = signatures(value.__doc__, name)
    if isinstance(value, staticmethod):
        return told or ["(*args)"]
    return [re.sub(r"^\(\w+(: \w+)?", "(self", text) for text in told]


def _property(value: Any) -> str:
    """Type, with " =" if it can be set; "" if that is not told, "constant" for what is no property."""
    if not isinstance(value, property):
        return "constant"
    read = re.search(r"-> (.+)", (value.fget and value.fget.__doc__) or "")
    written = re.search(r"arg1: (.+)\) ->", (value.fset and value.fset.__doc__) or "")
    told = read or written
    return (plain(told[1]) if told else "") + (" =" if value.fset is not None else "")


def signatures(doc: str | None, name: str) -> list[str]:
    """One for each overload, "(self, flags: int = 0) -> INetworkDefinition"; [] if the docstring tells none."""
    found = re.findall(rf"^ *(?:\d+\. )?{re.escape(name)}(\(.*)$", doc or "", re.MULTILINE)
    return [plain(_boost(text)) for text in found if text != "(*args, **kwargs)"]


_BOOST = re.compile(r"\((\w+)\)(\w+)(?:=([^\],)]+))?")


def _boost(text: str) -> str:
    """Boost.Python's "( (Event)arg1 [, (object)stream=None]) -> Event :" in Python's words."""
    if not text.endswith(" :"):
        return text
    told, _, result = text.removesuffix(" :").rpartition(" -> ")
    needed = len(_BOOST.findall(told.partition("[")[0]))
    parameters = [
        f"{name}: {kind}" + (f" = {default.strip(' [') or '...'}" if index >= needed else "")
        for index, (kind, name, default) in enumerate(_BOOST.findall(told))
    ]
    return f"({', '.join(parameters)}) -> {result}"


def plain(text: str) -> str:
    """Without modules and C++ namespaces before names, and with enum defaults as "ErrorCode.SUCCESS"."""
    text = re.sub(r"\b(nvinfer1|nvonnxparser|v_\d_\d)::", "", text.strip()).replace("::", ".")
    text = _DEFAULT.sub(r"\1", re.sub(r"\b(?:\w+\.)+(?=[A-Z])", _keep, text))
    return re.sub(r"\bI(ParserError|EngineInspector|Refitter|Runtime)\b", r"\1", text)


def _keep(match: re.Match[str]) -> str:
    """Of "tensorrt_bindings.tensorrt.ILogger." only "ILogger."; nothing of a module's path."""
    return "".join(f"{part}." for part in match[0].split(".") if part[:1].isupper())


def main() -> None:
    name, *wanted = sys.argv[1:]
    found = describe(import_module(name))
    print(json.dumps({key: value for key, value in found.items() if not wanted or key in wanted}))


if __name__ == "__main__":
    main()
