"""Open ONNX Runtime silently and without telemetry."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from numpy.typing import NDArray

from fcn_deploy.errors import GraphError, one_line
from fcn_deploy.graph.cpu.budget import MemoryBudget
from fcn_deploy.graph.cpu.memory import GraphMemory, Kernels
from fcn_deploy.graph.ports import axes_of
from fcn_deploy.graph.precheck.scan import scan
from fcn_deploy.graph.precheck.skeleton import skeleton
from fcn_deploy.graph.precheck.stored_types import FP8, stored_types
from fcn_deploy.system.optional import require
from fcn_deploy.system.scratch import scratch_folder

WARNINGS, ERRORS, QUIET = 2, 3, 4  # QUIET: fatal alone; what matters is raised


def load_onnxruntime() -> ModuleType:
    """Return the package with its telemetry off; MissingDependencyError if it is not there.

    Nor does it print warnings that belong to no session: version 1.31 has one for every session on CUDA.
    """
    ort = require("onnxruntime")
    if hasattr(ort, "disable_telemetry_events"):
        ort.disable_telemetry_events()
    ort.set_default_logger_severity(ERRORS)
    return ort


@contextmanager
def warnings_printed(ort: ModuleType) -> Iterator[None]:
    """Let warnings be printed inside the block: the reason why a provider does not start is one."""
    ort.set_default_logger_severity(WARNINGS)
    try:
        yield
    finally:
        ort.set_default_logger_severity(ERRORS)


def quiet_options(ort: ModuleType) -> Any:
    """Return SessionOptions that print nothing."""
    options = ort.SessionOptions()
    options.log_severity_level = QUIET
    return options


class CpuSession:
    """A session on the CPU, which refuses images that do not fit in memory."""

    def __init__(self, session: Any, graph: bytes) -> None:
        self._session = session
        self.get_inputs, self.get_outputs = session.get_inputs, session.get_outputs
        self._memory = MemoryBudget(GraphMemory(graph, Kernels()))

    def run(self, outputs: Sequence[str] | None, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the outputs; None asks for all.

        Raises:
            ShapeError: an image takes more memory than is free.
            Exception: ONNX Runtime's own.
        """
        image = next((array for array in feeds.values() if array.ndim == 4), None)
        axes = None if image is None else axes_of(image.shape)
        n, h, w = (0, 0, 0) if image is None or axes is None else (image.shape[axis] for axis in axes)
        with self._memory.reserve((n, h, w)):
            results: list[NDArray[Any]] = self._session.run(outputs, feeds)
        return results


def open_cpu_session(path: Path, *, threads: int | None = None, shown: object = None) -> CpuSession:
    """Open a session on the CPU with default optimisation.

    Args:
        threads: per run; None for ONNX Runtime's choice.
        shown: what the message calls the file; None for its name.

    Raises:
        GraphError: ONNX Runtime cannot open it.
    """
    ort = load_onnxruntime()
    options = quiet_options(ort)
    if threads is not None:
        options.intra_op_num_threads = threads
    options.enable_mem_pattern = False  # see `runners/ort/creation.py`
    suit_types(ort, options, path)
    return CpuSession(_opened(ort, path, options, path.name if shown is None else shown), skeleton(path))


def check_opens(path: Path) -> None:
    """Raise GraphError if ONNX Runtime cannot open the file; nothing is optimised or run, so this is fast."""
    ort = load_onnxruntime()
    options = quiet_options(ort)
    options.enable_mem_reuse = False  # the plan for it takes seconds for thousands of nodes
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    with readable(path) as file:
        _opened(ort, file, options, path)


def _opened(ort: ModuleType, path: Path, options: Any, shown: object) -> Any:
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no base of their own
        raise GraphError(f"{shown}: ONNX Runtime cannot open it: {one_line(error)}") from error


def suit_types(ort: ModuleType, options: Any, path: Path) -> bool:
    """Keep ONNX Runtime 1.31 from optimising an FP8 file wrongly; returns whether it is one.

    It takes the pairs for those of 8-bit integers, drops the Relu before them, and makes kernels that then refuse.
    """
    if not stored_types(path) & FP8:
        return False
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    return True


@lru_cache(maxsize=1)
def newest_ir_version() -> int:
    """Return the newest IR version of ONNX that the installed ONNX Runtime reads, as its error names it."""
    import onnx

    far = 10_000
    ort = load_onnxruntime()
    model = onnx.helper.make_model(onnx.helper.make_graph([], "empty", [], []), ir_version=far)
    try:
        ort.InferenceSession(model.SerializeToString(), quiet_options(ort), providers=["CPUExecutionProvider"])
    except Exception as error:
        found = re.search(r"max supported IR version: (\d+)", str(error))
        return int(found[1]) if found else onnx.IR_VERSION
    return far


def ir_version_trouble(message: str) -> str:
    """Return what to do where ONNX Runtime's `message` refuses an IR version; "" for any other message."""
    found = re.search(r"model IR version: (\d+), max supported IR version: (\d+)", message)
    return "" if found is None else too_new(int(found[1]), int(found[2]))


def too_new(version: int, newest: int) -> str:
    """Say that a file's IR version is too new for the installed ONNX Runtime, and what to do."""
    return (
        f"it is of ONNX's IR version {version}, and the installed ONNX Runtime reads {newest} at most; `fcn-deploy "
        "adopt` and `fcn-deploy quantize` write one that it reads"
    )


@contextmanager
def readable(path: Path) -> Iterator[Path]:
    """Yield a file that the installed ONNX Runtime reads: `path`, or a temporary copy of a lower IR version.

    The copy differs in that number alone, and shares the external data.
    """
    import onnx

    files = scan(path)
    model = onnx.load(str(path), load_external_data=False)
    if model.ir_version <= newest_ir_version():
        yield path
        return
    model.ir_version = newest_ir_version()
    with scratch_folder() as folder:
        copy = Path(folder, path.name)
        copy.write_bytes(model.SerializeToString())
        for name, file in files.items():
            Path(folder, name).parent.mkdir(parents=True, exist_ok=True)
            Path(folder, name).symlink_to(file)
        yield copy
