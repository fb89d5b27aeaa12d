"""Open ONNX Runtime silently and without telemetry."""

from __future__ import annotations

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
