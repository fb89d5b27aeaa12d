"""The JSON file beside an engine: what the plan is, what it was made of, and what its builder chose."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fcn_deploy.card import ModelCard
from fcn_deploy.errors import EngineError, RecipeError
from fcn_deploy.system import values
from fcn_deploy.vocabulary import Profile, Shape

SCHEMA = 1
PORTABLE = "portable"


@dataclass(frozen=True)
class Port:
    """An input or output: name, NumPy's name of its type ("uint8"), and dims with -1 for those that vary."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class BuiltFor:
    """Where the plan runs.

    Attributes:
        sm: architectures ("SM86", ...), or "portable" for whatever the library calls so.
        gpu, driver: of the machine that built it, and the CUDA version of its driver; None where it had none.
    """

    sm: tuple[str, ...]
    gpu: str | None = None
    driver: str | None = None


@dataclass(frozen=True)
class Layer:
    """One layer of the engine in the builder's words.

    Attributes:
        name, kind: the builder's ("correlation", "deconv", "kgen", ...).
        precision: type of its first input ("INT8", "FP16", "FP32"); "" where the builder does not tell.
        nodes: the ONNX nodes that were fused into it, as far as the builder names them.
        profile: index of the optimization profile that it serves.
    """

    name: str
    kind: str
    precision: str
    nodes: tuple[str, ...] = ()
    profile: int = 0


@dataclass(frozen=True)
class Shares:
    """Multiply-adds by precision: what the file's types promise and what the builder's own list shows.

    Attributes:
        size: N, H, W that they were counted at.
        promised, built: precision -> multiply-adds.
        disagreements: a line for each node that was built in another type; empty if all agree.
    """

    size: Shape
    promised: Mapping[str, int]
    built: Mapping[str, int]
    disagreements: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sidecar:
    """All of it.

    Attributes:
        flavor, version: the library ("tensorrt_rtx", "1.7.1.116"); platform: "linux x86_64".
        plan_sha256, plan_bytes: of the engine file that this belongs to.
        onnx_name, onnx_sha256: the file that was built and the hash of it with its external data.
        precision: "fp32", "fp16", "int8", "int8+fp16", or "typed" for a file of another tool.
        profiles: in the engine's order; activation_bytes: device memory of each one's activations, None if not told.
        layers: the builder's own list; empty where it gave none. shares: None where nothing could be counted.
        options: build options that were not left at their defaults.
        key: all that the plan follows from, by name, for the question whether it is up to date.
        seconds: of the build; peak_bytes: resident memory of the process that built it, None if not measured.
    """

    flavor: str
    version: str
    platform: str
    built_for: BuiltFor
    plan_sha256: str
    plan_bytes: int
    onnx_name: str
    onnx_sha256: str
    precision: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    profiles: tuple[Profile, ...]
    activation_bytes: tuple[int | None, ...] = ()
    card: ModelCard | None = None
    layers: tuple[Layer, ...] = ()
    shares: Shares | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    key: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    peak_bytes: int | None = None

    def to_json(self) -> str:
        plain = asdict(self) | {"card": None if self.card is None else json.loads(self.card.to_json())}
        return json.dumps({"schema": SCHEMA, "kind": "engine", **plain}, indent=1)


def sidecar_path(engine: Path) -> Path:
    """<engine>.json."""
    return engine.with_name(f"{engine.name}.json")


def read_sidecar(engine: Path) -> Sidecar:
    """The sidecar of an engine; whether the plan is the one it speaks of is not looked at.

    Raises:
        EngineError: it is missing or cannot be read as one.
    """
    path = sidecar_path(engine)
    try:
        return parse_sidecar(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise EngineError(
            f"{path} is missing: it says what {engine.name} takes and gives; copy it along with the engine, or build "
            "the engine with fcn-deploy build-engine"
        ) from error
    except (OSError, UnicodeDecodeError, RecipeError) as error:
        raise EngineError(f"{path} cannot be read as the description of an engine: {error}") from error


def parse_sidecar(text: str) -> Sidecar:
    """Read what `to_json` wrote; fields of a later version are ignored.

    Raises:
        RecipeError: not JSON, another schema, a missing field or a value of the wrong kind.
    """
    try:
        raw = values.table(json.loads(text))
        if raw.get("kind") != "engine" or raw.get("schema") != SCHEMA:
            raise RecipeError(f"it is not of kind engine, schema {SCHEMA}")
        known = {key: value for key, value in raw.items() if key in _READERS}
        values.check_keys(Sidecar, known)
        return Sidecar(**values.read_all(known, _READERS))
    except TypeError as error:
        raise RecipeError(f"it must be {error}") from error
    except (ValueError, RecursionError) as error:
        raise RecipeError(str(error)) from error


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError("a whole number, 0 or more")
    return value


def _ints(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(item) is int for item in value):
        raise TypeError("a list of whole numbers")
    return tuple(value)


def _shape(value: Any) -> Shape:
    numbers = _ints(value)
    if len(numbers) != 3:
        raise TypeError("three whole numbers (N, H, W)")
    return numbers[0], numbers[1], numbers[2]


def _maybe(reader: values.Reader) -> values.Reader:
    return lambda value: None if value is None else reader(value)


def _list_of(reader: values.Reader) -> values.Reader:
    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise TypeError("a list")
        return tuple(reader(item) for item in value)

    return read


def _record(kind: type[Any], readers: dict[str, values.Reader]) -> values.Reader:
    def read(value: Any) -> Any:
        known = {key: item for key, item in values.table(value).items() if key in readers}
        values.check_keys(kind, known)
        return kind(**values.read_all(known, readers))

    return read


READ_PORT = _record(Port, {"name": values.text, "dtype": values.text, "shape": _ints})
_PROFILE = _record(Profile, {"min": _shape, "opt": _shape, "max": _shape})
READ_LAYER = _record(
    Layer,
    {
        "name": values.text,
        "kind": values.any_text,
        "precision": values.any_text,
        "nodes": values.texts,
        "profile": _count,
    },
)
_READERS: dict[str, values.Reader] = {
    **dict.fromkeys(("flavor", "version", "platform", "onnx_name", "precision"), values.text),
    **dict.fromkeys(("plan_sha256", "onnx_sha256"), values.text),
    "built_for": _record(BuiltFor, {"sm": values.texts, "gpu": _maybe(values.text), "driver": _maybe(values.text)}),
    "plan_bytes": _count,
    "inputs": _list_of(READ_PORT),
    "outputs": _list_of(READ_PORT),
    "profiles": _list_of(_PROFILE),
    "activation_bytes": _list_of(_maybe(_count)),
    "card": _maybe(lambda value: ModelCard.from_json(json.dumps(value))),
    "layers": _list_of(READ_LAYER),
    "shares": _maybe(
        _record(
            Shares,
            {
                "size": _shape,
                "promised": values.table_of(_count),
                "built": values.table_of(_count),
                "disagreements": values.texts,
            },
        )
    ),
    "options": values.table,
    "key": values.table,
    "seconds": values.number,
    "peak_bytes": _maybe(_count),
}
