"""Fetches the Python bindings of each release that the engine code knows, and writes down what they offer.

    python -m tests.api.bindings            all of RELEASES, from the package index
    python -m tests.api.bindings FOLDER     with the wheels in FOLDER

The files beside this one are its output. PyCUDA is built from source, so it is described where it is installed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.api.stub import write_stubs

HERE = Path(__file__).parent
# Of no use to a project whose networks come from ONNX files: layers put together by hand, and plugins.
_LEFT_OUT = re.compile(
    r"^(I\w*Layer\w*|I?Plugin\w*|I(If|Loop|Attention|Sym|Expr|Dimension|Iterator|TripLimit|Quick)\w*|\w*Operation"
    r"|I\w*Allocator|common_\w+)$"
)
# cuda-bindings has thousands of names; CUDA graphs are what the project takes from it.
_CUDA_NAMES = (
    "CUresult", "CUstream", "CUstreamCaptureMode", "cuStreamBeginCapture", "cuStreamEndCapture", "cuGraphInstantiate",
    "cuGraphLaunch", "cuGraphDestroy", "cuGraphExecDestroy",
)  # fmt: skip


@dataclass(frozen=True)
class Release:
    """One release of the bindings.

    Attributes:
        flavor: the engine package's name of the library; version: as its `__version__` begins.
        requirement: the wheel that holds its bindings; module: what that wheel calls them.
    """

    flavor: str
    version: str
    requirement: str
    module: str = "tensorrt_bindings"

    @property
    def title(self) -> str:
        return f"{self.flavor}-{self.version}"

    @property
    def path(self) -> Path:
        return HERE / f"{self.title}.json"


# The first and the last of each line that the table of flavors claims, and those that devices ship (8.6, 10.3).
RELEASES = (
    Release("tensorrt", "8.6.1", "tensorrt-bindings==8.6.1"),
    Release("tensorrt", "10.0.1", "tensorrt-cu12-bindings==10.0.1"),
    Release("tensorrt", "10.3.0", "tensorrt-cu12-bindings==10.3.0"),
    Release("tensorrt", "10.16.1", "tensorrt-cu13-bindings==10.16.1.11"),
    Release("tensorrt", "11.0.0", "tensorrt-cu13-bindings==11.0.0.114"),
    Release("tensorrt", "11.4.0", "tensorrt-cu13-bindings==11.4.0.106"),
    Release("tensorrt_rtx", "1.4.0", "tensorrt-rtx-cu13-bindings==1.4.0.76", "tensorrt_rtx_bindings"),
    Release("tensorrt_rtx", "1.7.1", "tensorrt-rtx-cu13-bindings==1.7.1.116", "tensorrt_rtx_bindings"),
)
# module -> the names to keep; () keeps all.
CUDA = {"pycuda.driver": (), "cuda.bindings.driver": _CUDA_NAMES}


def fetch(release: Release, folder: Path) -> Path:
    """Download the wheel of a release, without what it depends on."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--retries=1"]
    subprocess.run([*pip, "--dest", str(folder), release.requirement], check=True, capture_output=True, text=True)
    return wheel_of(release, folder)


def wheel_of(release: Release, folder: Path) -> Path:
    """The wheel of a release in `folder`; FileNotFoundError if it is not there."""
    start = release.requirement.replace("-", "_").replace("==", "-")
    for path in sorted(folder.glob(f"{start}-*.whl")):
        return path
    raise FileNotFoundError(f"{folder} holds no {start}-*.whl")


def describe_wheel(release: Release, wheel: Path, scratch: Path) -> dict[str, Any]:
    """Unpack the bindings, import them over stubs in a child process, and describe them."""
    unpacked = scratch / release.title
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    for extension in (unpacked / release.module).glob("*.so"):
        write_stubs(extension, unpacked / "stubs")
    return _tensorrt(release, PYTHONPATH=str(unpacked), LD_LIBRARY_PATH=str(unpacked / "stubs"))


def describe_library(release: Release) -> dict[str, Any]:
    """Describe the bindings that are installed with the library itself."""
    return _tensorrt(release)


def describe_installed(module: str, scratch: Path) -> dict[str, Any]:
    """Describe a CUDA module of this interpreter; ImportError if it is not installed."""
    top = importlib.util.find_spec(module.partition(".")[0])
    if top is None or not top.submodule_search_locations:
        raise ImportError(f"{module} is not installed")
    for extension in Path(top.submodule_search_locations[0]).glob("_driver*.so"):
        write_stubs(extension, scratch / module)
    return _child([module, *CUDA[module]], LD_LIBRARY_PATH=str(scratch / module))


def _tensorrt(release: Release, **environment: str) -> dict[str, Any]:
    found = _child([release.module], **environment)
    return {name: _short(value) for name, value in found.items() if not _LEFT_OUT.match(name)}


def _child(arguments: list[str], **environment: str) -> dict[str, Any]:
    command = [sys.executable, str(HERE / "describe.py"), *arguments]
    done = subprocess.run(command, env=os.environ | environment, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _short(value: Any) -> Any:
    """A class without the methods that add a layer or a plugin to a network."""
    if not isinstance(value, dict) or "methods" not in value:
        return value
    methods = {
        name: told for name, told in value["methods"].items() if not name.startswith("add_") or "profile" in name
    }
    return value | {"methods": methods}


def write(path: Path, found: dict[str, Any]) -> None:
    """One line a class, so that a difference between two releases reads well."""
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in sorted(found.items())]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def read(title: str) -> dict[str, Any]:
    """What was written for "tensorrt-8.6.1", "pycuda.driver", ..."""
    found: dict[str, Any] = json.loads((HERE / f"{title}.json").read_text(encoding="utf-8"))
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        for release in RELEASES:
            wheel = wheel_of(release, Path(sys.argv[1])) if len(sys.argv) > 1 else fetch(release, scratch)
            write(release.path, describe_wheel(release, wheel, scratch))
        for module in CUDA:
            try:
                write(HERE / f"{module}.json", describe_installed(module, scratch))
            except ImportError as error:
                print(f"{error}; its description stays as it is")


if __name__ == "__main__":
    main()
