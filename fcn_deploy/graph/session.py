"""Open ONNX Runtime silently and without telemetry."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from fcn_deploy.system.optional import require

QUIET = 4  # fatal alone; what matters is raised


def load_onnxruntime() -> ModuleType:
    """Return the package with its telemetry off; MissingDependencyError if it is not there."""
    ort = require("onnxruntime")
    if hasattr(ort, "disable_telemetry_events"):
        ort.disable_telemetry_events()
    return ort


def quiet_options(ort: ModuleType) -> Any:
    """Return SessionOptions that print nothing."""
    options = ort.SessionOptions()
    options.log_severity_level = QUIET
    return options


def open_cpu_session(path: Path, *, threads: int | None = None) -> Any:
    """Open a session on the CPU with default optimisation; `threads` per run, None for ONNX Runtime's choice."""
    ort = load_onnxruntime()
    options = quiet_options(ort)
    if threads is not None:
        options.intra_op_num_threads = threads
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@lru_cache(maxsize=1)
def newest_ir_version() -> int:
    """Return the newest IR version of ONNX that the installed ONNX Runtime reads, which its error tells."""
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


def open_any_ir_session(path: Path) -> Any:
    """Open a session as `open_cpu_session` does, also of a file whose IR version is too new: by its number alone."""
    import onnx

    model = onnx.load(str(path), load_external_data=False)
    if model.ir_version <= newest_ir_version():
        return open_cpu_session(path)
    model.ir_version = newest_ir_version()
    ort = load_onnxruntime()
    options = quiet_options(ort)
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(path.resolve().parent))
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
