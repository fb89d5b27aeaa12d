"""Doubles of every release under the engine code: over `tests.api.builder` to build, over the fake GPU to run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fcn_deploy.engine.builder.compile import CompileJob
from fcn_deploy.engine.builder.options import BuildOptions
from fcn_deploy.engine.flavors import Flavor, traits_of
from fcn_deploy.engine.sidecar import BuiltFor, EngineLayer, Sidecar, SidecarPort, sidecar_path
from fcn_deploy.vocabulary import Profile
from tests.api.bindings import CUDA, RELEASES, Release, read
from tests.api.builder import Building
from tests.api.doubles import Double
from tests.support.fakes.machine import Machine
from tests.support.fakes.tensorrt_module import ACTIVATION_BYTES, VERSIONS, Context, Engine

every_release = pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.title)
# Every option of a build, each with a value that is not its default.
ASKED: dict[str, dict[str, Any]] = {
    "nothing": {},
    "workspace_bytes": {"workspace_bytes": 1 << 30},
    "timing_cache": {"timing_cache": "measured.cache"},
    "optimization_level": {"optimization_level": 3},
    "tf32": {"tf32": True},
    "no tf32": {"tf32": False},
    "refit": {"refit": True},
    "strip": {"strip": True},
    "version_compatible": {"version_compatible": True},
    "hardware_compatible": {"hardware_compatible": True},
    "sm": {"sm": ("SM86", "SM89")},
}
PROFILES = (Profile((1, 33, 47), (1, 360, 480), (2, 512, 512)), Profile((3, 64, 64), (4, 64, 96), (4, 128, 96)))


def version_of(release: Release) -> str:
    """In full: "11.4.0.106"."""
    return str(read(release.title)["__version__"])


@cache
def _double(release: Release) -> Double:
    """One for all tests: the engine package keeps its logger for each module that it meets."""
    return Double(release.flavor, read(release.title), None)


def builds(release: Release) -> tuple[Flavor, Building]:
    """A flavor whose module is the double of a release, and what answers behind it."""
    building = Building()
    double = building.double = _double(release).use(building)
    return Flavor(release.flavor, double, double.__version__, traits_of(release.flavor, double.__version__)), building


def job(folder: Path, **asked: Any) -> CompileJob:
    """Of an FP16 and INT8 graph that nobody reads."""
    if "timing_cache" in asked:
        asked["timing_cache"] = str(folder / asked["timing_cache"])
    options = BuildOptions(**asked)
    return CompileJob(
        folder / "net.onnx", folder / "net.engine", "image", (0, 1, 2), PROFILES, options, fp16=True, int8=True
    )


def write_engine(
    path: Path,
    release: Release,
    options: dict[str, Any],
    key: dict[str, Any] | None = None,
    profiles: tuple[Profile, ...] = PROFILES,
) -> Path:
    """A file that stands for an engine of a release, with its sidecar."""
    path.write_bytes(b"an engine")
    ports = [SidecarPort(name, "uint8", (-1, -1, -1, *rest)) for name, *rest in (("image", 3), ("labels",))]
    layer = EngineLayer("fc6", "conv", "FP16", ("fc6",))
    sidecar = Sidecar(
        release.flavor, version_of(release), "linux x86_64", BuiltFor(("SM89",)), "0" * 64, 9, "net.onnx", "0" * 64,
        "fp16", (ports[0],), (ports[1],), profiles, (1000, None)[: len(profiles)], layers=(layer,), options=options,
        key=key or {},
    )  # fmt: skip
    sidecar_path(path).write_text(sidecar.to_json())
    return path


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    made = Machine(monkeypatch)
    yield made
    made.check()


def runs(release: Release, monkeypatch: pytest.MonkeyPatch) -> dict[str, Double]:
    """Put the double of a release between our code and a machine's fake; PyCUDA and cuda-bindings have theirs."""
    # What the fake does not offer because newer releases have something better.
    monkeypatch.setattr(Engine, "device_memory_size", ACTIVATION_BYTES, raising=False)
    memory = property(None, lambda context, address: context.set_device_memory(address, ACTIVATION_BYTES))
    monkeypatch.setattr(Context, "device_memory", memory, raising=False)
    monkeypatch.setitem(VERSIONS, release.flavor, version_of(release))
    doubles = {name: sys.modules[name] for name in CUDA}
    doubles[release.flavor] = _double(release).use(sys.modules[release.flavor].behind)
    monkeypatch.setitem(sys.modules, release.flavor, doubles[release.flavor])
    return doubles
