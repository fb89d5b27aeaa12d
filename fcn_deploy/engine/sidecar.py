"""Read and write the JSON file next to an engine: what the plan is, its sources, and what its builder chose.

It also answers whether the engine at a path is the one that would be built, and if not, why.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from fcn_deploy.card import ModelCard
from fcn_deploy.engine.flavors import NAMES, PORTABLE_GPUS, REBUILD, PlanHeader, read_header
from fcn_deploy.errors import EngineError
from fcn_deploy.graph.ports import Port
from fcn_deploy.system.files import require_plain, sha256
from fcn_deploy.system.formatting import count, some
from fcn_deploy.system.serialization.decode import Count, Filled, decode, is_schema, matching, parse_json
from fcn_deploy.system.serialization.plain import plain
from fcn_deploy.vocabulary import Profile, Shape

SCHEMA = 1
PORTABLE = "portable"
SHOWN = 60  # characters of a value that differs


# TensorRT's names of types -> NumPy's; those that NumPy lacks (BF16, FP8) are not for a host to read.
DTYPES = {
    "FLOAT": "float32", "HALF": "float16", "INT8": "int8", "UINT8": "uint8", "INT32": "int32", "INT64": "int64",
    "BOOL": "bool",
}  # fmt: skip


@dataclass(frozen=True)
class SidecarPort(Port):
    """An input or output in the file; dims that vary are -1."""

    name: Filled
    dtype: Filled
    shape: tuple[int, ...]


@dataclass(frozen=True)
class BuiltFor:
    """Where the plan runs.

    Attributes:
        sm: architectures ("SM86", ...), or "portable" for whatever the library calls so.
        gpu, driver: of the machine that built it, and the CUDA version of its driver; None where it had none.
    """

    sm: tuple[str, ...]
    gpu: Filled | None = None
    driver: Filled | None = None

    def targets(self) -> str:
        """ "SM86, SM89", or what portable means."""
        return f"portable ({PORTABLE_GPUS})" if self.sm == (PORTABLE,) else ", ".join(self.sm)


@dataclass(frozen=True)
class EngineLayer:
    """One layer of the engine in the builder's words.

    Attributes:
        name, kind: the builder's ("correlation", "deconv", "kgen", ...).
        precision: type of its first input ("INT8", "FP16", "FP32"); "" if the builder does not report it.
        nodes: the ONNX nodes that were fused into it, as far as the builder names them.
        profile: index of the optimization profile that it serves.
    """

    name: Filled
    kind: str
    precision: str
    nodes: tuple[str, ...] = ()
    profile: Count = 0


@dataclass(frozen=True)
class PrecisionShares:
    """Multiply-adds by precision: what the file's types promise and what the builder's own list shows.

    Attributes:
        size: N, H, W that they were counted at.
        promised, built: precision -> multiply-adds.
        disagreements: a line for each node that was built in another type; empty if all agree.
    """

    size: Shape
    promised: Mapping[str, Count]
    built: Mapping[str, Count]
    disagreements: tuple[str, ...] = ()

    def kinds(self) -> list[str]:
        """Return a line for each kind of disagreement: how many nodes, the types, the first nodes' names."""
        nodes: dict[str, list[str]] = {}
        for line in self.disagreements:
            name, _, types = line.rpartition(": ")
            nodes.setdefault(types, []).append(name)
        return [f"{count(len(names), 'layer')}: {types} ({some(names, 3)})" for types, names in nodes.items()]


@dataclass(frozen=True)
class Sidecar:
    """All of it.

    Attributes:
        flavor, version: the library ("tensorrt_rtx", "1.7.1.116"); platform: "linux x86_64".
        plan_sha256, plan_bytes: of the engine file that this belongs to.
        onnx_name, onnx_sha256: the file that was built and the hash of it with its external data.
        precision: "fp32", "fp16", "int8", "int8+fp16", or "typed" for a file of another tool.
        profiles: in the engine's order; activation_bytes: device memory of each one's activations or None.
        layers: the builder's own list; empty where it gave none. shares: None where nothing could be counted.
        options: build options that were not left at their defaults.
        key: all that the plan follows from, by name, for the question whether it is up to date.
        seconds: of the build; peak_bytes: resident memory of the process that built it, None if not measured.
    """

    flavor: Annotated[str, matching("|".join(NAMES), " or ".join(NAMES))]  # a module: no other one is looked for
    version: Filled
    platform: Filled
    built_for: BuiltFor
    plan_sha256: Filled
    plan_bytes: Count
    onnx_name: Filled
    onnx_sha256: Filled
    precision: Filled
    inputs: tuple[SidecarPort, ...]
    outputs: tuple[SidecarPort, ...]
    profiles: tuple[Profile, ...]
    activation_bytes: tuple[Count | None, ...] = ()
    card: ModelCard | None = None
    layers: tuple[EngineLayer, ...] = ()
    shares: PrecisionShares | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    key: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    peak_bytes: Count | None = None

    def to_json(self) -> str:
        return json.dumps({"schema": SCHEMA, "kind": "engine", **plain(self)}, indent=1)


def sidecar_path(engine: Path) -> Path:
    """Return the path of an engine's sidecar, <engine>.json."""
    return engine.with_name(f"{engine.name}.json")


def read_sidecar(engine: Path) -> Sidecar:
    """Read the sidecar of an engine, as `read_description`; whether the plan is the one it describes is not checked."""
    return read_description(sidecar_path(engine))


def read_plan(engine: Path) -> tuple[bytes, Sidecar | None]:
    """Return the plan and its sidecar, which belongs to it; None where there is no sidecar.

    Raises:
        EngineError: an empty or truncated file, no plan, or a sidecar that is unreadable or of another engine.
    """
    sidecar = read_sidecar(engine) if sidecar_path(engine).exists() else None
    try:
        header, plan = read_header(engine, known=sidecar is not None), require_plain(engine).read_bytes()
    except OSError as error:
        raise EngineError(f"{engine} cannot be read: {error.strerror}") from error
    if trouble := flavor_trouble(header, sidecar):
        raise EngineError(f"{engine}: {trouble}")
    whole = (sidecar.plan_bytes if sidecar else header.plan_bytes if header else None) or 0
    if len(plan) < whole:
        raise EngineError(f"{engine} is truncated: it has {len(plan)} of {whole} bytes; copy it again, or {REBUILD}")
    if sidecar is not None and hashlib.sha256(plan).hexdigest() != sidecar.plan_sha256:
        raise EngineError(
            f"{sidecar_path(engine)} describes another engine than {engine.name} (SHA-256 differs); copy both again, "
            f"or {REBUILD}"
        )
    return plan, sidecar


def flavor_trouble(header: PlanHeader | None, sidecar: Sidecar | None) -> str:
    """Return that a plan is not of the library that its sidecar names; "" if it is, or one of them says nothing."""
    if header is None or sidecar is None or header.flavor == sidecar.flavor:
        return ""
    return f"its sidecar names {sidecar.flavor}, and it is a plan of {header.flavor}; copy both again, or {REBUILD}"


def read_description(path: Path) -> Sidecar:
    """Read a sidecar by its own path; fields of a later version are ignored.

    Raises:
        EngineError: it is missing, not JSON, of another schema, or lacks a field or has a value of the wrong kind.
    """
    source = f"{path} cannot be read as the description of an engine"
    try:
        raw = parse_json(require_plain(path).read_text(encoding="utf-8"), source, EngineError)
    except FileNotFoundError as error:
        raise EngineError(
            f"{path} is missing: it says what {path.stem} takes and gives; copy it along with the engine, or build "
            "the engine with fcn-deploy build-engine"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise EngineError(f"{source}: {getattr(error, 'strerror', None) or error}") from error
    if not isinstance(raw, dict) or raw.get("kind") != "engine" or not is_schema(raw.get("schema"), SCHEMA):
        raise EngineError(f"{source}: it is not of kind engine, schema {SCHEMA}")
    return decode(Sidecar, raw, source, EngineError)


def reasons_to_build(engine: Path, key: Mapping[str, Any]) -> tuple[str, ...]:
    """Return reasons to build: () if the engine is there, whole, and of this key.

    Args:
        key: as for `sidecar.Sidecar`; plain data.
    """
    if not engine.is_file():
        return (f"there is no {engine.name} yet",)
    if not sidecar_path(engine).is_file():
        return (f"{engine.name} has no {sidecar_path(engine).name} next to it",)
    try:
        sidecar = read_sidecar(engine)
    except EngineError as error:
        return (str(error),)
    if not matches_plan(sidecar, engine):
        return (f"{engine.name} is not the plan that its sidecar speaks of",)
    return differences(sidecar.key, key)


def matches_plan(sidecar: Sidecar, engine: Path) -> bool:
    """Return whether a plan, read to its end, is the one that the sidecar describes."""
    return engine.stat().st_size == sidecar.plan_bytes and sha256(engine) == sidecar.plan_sha256


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a line for each entry that differs: "precision was fp16, now int8"."""
    names = [*now, *(name for name in before if name not in now)]
    pairs = [(name, before.get(name), now.get(name)) for name in names]
    return tuple(f"{name} was {_short(old)}, now {_short(new)}" for name, old, new in pairs if old != new)


def _short(value: Any) -> str:
    if value in (None, [], {}):
        return "none"
    text = value if isinstance(value, str) else json.dumps(value)
    if len(text) == 64 and not set(text) - set("0123456789abcdef"):
        return f"{text[:12]}..."
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
