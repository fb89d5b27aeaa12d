"""Read an engine's first bytes and its sidecar, and check that the two belong together; nothing is loaded."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fcn_deploy.engine.flavors import PlanHeader, read_header
from fcn_deploy.engine.sidecar import Sidecar, flavor_trouble, read_description, read_sidecar, sidecar_path
from fcn_deploy.errors import EngineError
from fcn_deploy.graph.ports import Port, contract_line
from fcn_deploy.system.environment import package_versions
from fcn_deploy.vocabulary import Shape

ITEM_BYTES = {"uint8": 1, "int8": 1, "bool": 1, "float16": 2, "int32": 4, "float32": 4, "int64": 8}


@dataclass(frozen=True)
class ProfileMemory:
    """Device memory of one profile.

    Attributes:
        activation_bytes: as the builder reports it, else None.
        buffer_bytes: of one set of input and output buffers at the profile's maximum.
    """

    profile: str
    activation_bytes: int | None
    buffer_bytes: int | None


@dataclass(frozen=True)
class EngineFile:
    """One engine, or the sidecar of one.

    Attributes:
        header: None if only the sidecar is there.
        sidecar: None if there is none, or none that can be read.
        faults: reasons not to use it; remarks: what one should know.
    """

    header: PlanHeader | None
    sidecar: Sidecar | None
    contract: str
    memory: tuple[ProfileMemory, ...]
    faults: tuple[str, ...]
    remarks: tuple[str, ...]


def inspect_engine(path: Path, sha256: str) -> EngineFile:
    """Read a plan's header and the sidecar next to it; `sha256` is the plan's.

    Raises:
        EngineError: empty, or it does not start like a plan and no sidecar describes it.
    """
    size = path.stat().st_size
    sidecar, missing, faults = _sidecar(path)
    header = read_header(path, known=sidecar is not None and sidecar.plan_sha256 == sha256)
    in_header = header.plan_bytes if header is not None else None
    whole = in_header or (sidecar.plan_bytes if sidecar is not None else 0)
    if size < whole:
        faults += (f"it is truncated: {size:,} of {whole:,} bytes; copy or build it again",)
    elif sidecar is not None and sidecar.plan_sha256 != sha256:
        name, other = sidecar_path(path).name, sidecar.plan_sha256[:12]
        faults += (f"{name} describes another engine, of SHA-256 {other}...; copy both again, or build again",)
        sidecar = None
    elif trouble := flavor_trouble(header, sidecar):
        faults += (trouble,)
        sidecar = None
    return EngineFile(
        header=header,
        sidecar=sidecar,
        contract="unknown: it can be read only where the engine is loaded" if sidecar is None else _contract(sidecar),
        memory=() if sidecar is None else _memory(sidecar),
        faults=faults,
        remarks=(*missing, *_remarks(header, sidecar)),
    )


def inspect_sidecar(path: Path) -> EngineFile:
    """Read the JSON file alone, where its engine is elsewhere.

    Raises:
        EngineError: it is not one.
    """
    sidecar = read_description(path)
    engine = path.with_suffix("").name
    remarks = (f"its engine, {engine}, is not next to it", *_remarks(None, sidecar))
    return EngineFile(None, sidecar, _contract(sidecar), _memory(sidecar), (), remarks)


def _sidecar(path: Path) -> tuple[Sidecar | None, tuple[str, ...], tuple[str, ...]]:
    """Return the sidecar, or a remark that there is none, or a fault that it cannot be read."""
    expected = sidecar_path(path)
    if not expected.is_file():
        return None, (f"{expected.name}, which holds ports, profiles and precision, is not next to it",), ()
    try:
        return read_sidecar(path), (), ()
    except EngineError as error:
        return None, (), (str(error),)


def _remarks(header: PlanHeader | None, sidecar: Sidecar | None) -> tuple[str, ...]:
    remarks = []
    built = (sidecar.flavor, sidecar.version) if sidecar else (header.flavor, header.version) if header else None
    if built is not None and (other := _other_release(*built)):
        anywhere = sidecar is not None and sidecar.options.get("version_compatible")
        remarks += [] if anywhere else [other]
    if sidecar is not None and sidecar.shares is not None:
        remarks += [f"built in another type than the file asks for: {line}" for line in sidecar.shares.kinds()]
    return tuple(remarks)


def _other_release(flavor: str, version: str) -> str:
    """Return why the installed library may not run the engine; "" if it may, or if its release is not known."""
    if importlib.util.find_spec(flavor) is None:
        return f"{flavor} is not installed here"
    package = flavor.replace("_", "-")
    here = next(iter(package_versions((package, f"{package}-cu13", f"{package}-cu12")).values()), version)
    return "" if here == version else f"{flavor} {version} built it, here is {here}: a plan runs with its own release"


def _contract(sidecar: Sidecar) -> str:
    return contract_line(sidecar.inputs, sidecar.outputs, sidecar.card)


def _memory(sidecar: Sidecar) -> tuple[ProfileMemory, ...]:
    ports = (*sidecar.inputs, *sidecar.outputs)
    reported = dict(enumerate(sidecar.activation_bytes))
    return tuple(
        ProfileMemory(str(profile), reported.get(index), buffer_bytes(ports, profile.max))
        for index, profile in enumerate(sidecar.profiles)
    )


def buffer_bytes(ports: Iterable[Port], shape: Shape) -> int | None:
    """Return bytes of one set of input and output buffers for (N, H, W); None if a type or a rank is unknown."""
    total = 0
    for port in ports:
        size = ITEM_BYTES.get(port.dtype)
        if size is None or len(port.shape) not in (3, 4):
            return None
        for dim, usual in zip(port.shape, _dims(port, shape), strict=True):
            size *= dim if isinstance(dim, int) and dim > 0 else usual
        total += size
    return total


def _dims(port: Port, shape: Shape) -> tuple[int, ...]:
    batch, height, width = shape
    if len(port.shape) == 3:
        return shape
    return (batch, height, width, 1) if port.shape[3] in (1, 3, 4) else (batch, 1, height, width)
