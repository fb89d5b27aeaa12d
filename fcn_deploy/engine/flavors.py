"""The TensorRT libraries that engines are built and run with, and what differs between them, in one table.

tensorrt 8.6        JetPack: explicit batch and precision flags, no progress monitor
tensorrt 10.x       strongly typed on request
tensorrt 11.x       strongly typed only
tensorrt_rtx 1.x    strongly typed only; builds without a GPU, for architectures that are named

The first bytes of a plan name the library and its version too, for a plan without a sidecar.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fcn_deploy.errors import EngineError, MissingDependencyError, UnknownNameError
from fcn_deploy.model_file import RTX_TAG, TENSORRT_TAG
from fcn_deploy.system.files import require_plain
from fcn_deploy.system.optional import require

TENSORRT, RTX = "tensorrt", "tensorrt_rtx"
# The GPUs of portable plans of TensorRT for RTX, as release 1.7.1 listed them when it refused one on an H100.
PORTABLE_GPUS = "compute capability 8.0, 8.6, 8.9, 12.0 and later, not 9.0"
_PORTABLE_BEFORE_120 = (80, 86, 89)
# Tried in this order if none is chosen: TensorRT for RTX builds on any machine.
NAMES = (RTX, TENSORRT)
ALIASES = {"rtx": RTX, "tensorrt-rtx": RTX, "trt": TENSORRT}

# The version's four bytes are where NVIDIA's own answer puts them (github.com/NVIDIA/TensorRT/issues/3073); the tags
# and the length are not documented and were read from plans of TensorRT for RTX 1.7 and TensorRT 8.6 to 10.
FLAVORS = {RTX_TAG: RTX, TENSORRT_TAG: TENSORRT}
HEADER_BYTES = 28
REBUILD = "build it again here with fcn-deploy build-engine"
_LENGTH, _VERSION = slice(16, 24), slice(24, 28)


@dataclass(frozen=True)
class Traits:
    """The capabilities of one line of releases.

    Attributes:
        title: for people.
        explicit_batch: the network is made with EXPLICIT_BATCH, and types come from builder flags (FP16, INT8).
        typed_flag: STRONGLY_TYPED must be asked for. If neither flag is set, every network is typed.
        monitor: the build reports its progress and can be cancelled.
        node_names: an error of the parser names its node.
        names_targets: the architectures are set on the configuration, so no GPU is needed.
        runtime_config: engines make a runtime configuration (CUDA graphs, kernel cache).
        refused: build option -> why it cannot be had.
        refused_without_gpu: the same where no GPU is.
    """

    title: str
    explicit_batch: bool = False
    typed_flag: bool = False
    monitor: bool = True
    node_names: bool = True
    names_targets: bool = False
    runtime_config: bool = False
    refused: Mapping[str, str] = field(default_factory=dict)
    refused_without_gpu: Mapping[str, str] = field(default_factory=dict)


_NO_TARGETS = "it builds for the GPU at hand; build there, or take --flavor rtx"

# (module, first version, first version beyond) -> traits.
TABLE: dict[tuple[str, tuple[int, ...], tuple[int, ...]], Traits] = {
    (TENSORRT, (8, 6), (9,)): Traits(
        "TensorRT 8.6",
        explicit_batch=True,
        monitor=False,
        node_names=False,
        refused={"sm": _NO_TARGETS, "strip": "plans without weights came with TensorRT 10"},
    ),
    (TENSORRT, (10,), (11,)): Traits("TensorRT 10", typed_flag=True, refused={"sm": _NO_TARGETS}),
    (TENSORRT, (11,), (12,)): Traits("TensorRT 11", refused={"sm": _NO_TARGETS}),
    (RTX, (1,), (2,)): Traits(
        "TensorRT for RTX",
        names_targets=True,
        runtime_config=True,
        refused={
            "timing_cache": "it measures nothing while it builds, so its timing cache stays empty",
            "version_compatible": "its plans run with the release that built them alone",
            "hardware_compatible": "its plans run on every architecture they are built for: name them with --sm",
        },
        refused_without_gpu={
            "refit": "it needs a GPU to build a plan whose weights can be exchanged",
            "strip": "it needs a GPU to build a plan without weights",
        },
    ),
}


def runs_portable(sm: str) -> bool:
    """Return whether a GPU ("SM86") runs portable plans of TensorRT for RTX."""
    number = int(sm.removeprefix("SM"))
    return number in _PORTABLE_BEFORE_120 or number >= 120


@dataclass(frozen=True)
class Flavor:
    """One library, loaded.

    Attributes:
        name: its module's, "tensorrt" or "tensorrt_rtx"; module: the module; version: as it reports it, "1.7.1.116".
    """

    name: str
    module: Any
    version: str
    traits: Traits

    @property
    def title(self) -> str:
        """ "TensorRT for RTX 1.7.1.116"."""
        return f"{self.traits.title.rstrip(' 0123456789.')} {self.version}"

    def refusal(self, option: str, has_gpu: bool) -> str | None:
        """Return why a build option cannot be had here; None if it can."""
        without = {} if has_gpu else self.traits.refused_without_gpu
        return self.traits.refused.get(option) or without.get(option)


def open_flavor(name: str | None = None) -> Flavor:
    """Load a library by its name or an alias ("rtx"); with None the first of `NAMES` that loads.

    Raises:
        UnknownNameError: no such library.
        MissingDependencyError: not installed, or it does not load.
        EngineError: a release that the table does not know.
    """
    if name is None:
        reasons = []
        for known in NAMES:
            try:
                return open_flavor(known)
            except MissingDependencyError as error:
                reasons.append(str(error))
        raise MissingDependencyError("no TensorRT library: " + "; ".join(reasons))
    module = ALIASES.get(name, name)
    if module not in NAMES:
        raise UnknownNameError.of("flavor", name, (*NAMES, *ALIASES))
    trt = require(module)
    return Flavor(module, trt, trt.__version__, traits_of(module, trt.__version__))


def traits_of(name: str, version: str) -> Traits:
    """Return the table's entry for a release; EngineError if it has none."""
    found = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    for (module, first, beyond), traits in TABLE.items():
        if module == name and first <= found < beyond:
            return traits
    known = ", ".join(traits.title for (module, _, _), traits in TABLE.items() if module == name)
    raise EngineError(f"{name} {version} is a release that this version does not know (it knows {known})")


@dataclass(frozen=True)
class PlanHeader:
    """The header of a plan.

    Attributes:
        flavor: "tensorrt" or "tensorrt_rtx"; version: "1.7.1.116".
        plan_bytes: of the whole file; None where the library does not write it there.
    """

    flavor: str
    version: str
    plan_bytes: int | None


def read_header(path: Path, *, known: bool = False) -> PlanHeader | None:
    """Return the header of a plan; None if it does not start like one, but its sidecar (`known`) says that it is.

    Raises:
        EngineError: the file is empty, ends within the header, or is no plan.
    """
    with require_plain(path).open("rb") as stream:
        head = stream.read(HEADER_BYTES)
    if not head:
        raise EngineError(f"{path} is empty; {REBUILD}")
    flavor = FLAVORS.get(head[:4])
    if flavor is None and not known:
        raise EngineError(f"{path} is no engine: it starts with {head[:8]!r}; build one with fcn-deploy build-engine")
    if len(head) < HEADER_BYTES:
        raise EngineError(f"{path} is truncated: it has {len(head)} bytes; copy it again, or {REBUILD}")
    if flavor is None:
        return None
    length = int.from_bytes(head[_LENGTH], "little") if flavor == RTX else None
    return PlanHeader(flavor, ".".join(map(str, head[_VERSION])), length)
