"""The verdict of a real parser, TensorRT for RTX's, which needs no GPU for it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from ..optional import require
from .preflight import Finding

MODULE = "tensorrt_rtx"
# Lines that every error brings with it on a machine without a driver.
_SPURIOUS = ("checkMacros", "cudaError")


def parse_with_rtx(path: Path) -> tuple[Finding, ...]:
    """Let TensorRT for RTX parse the file; each of its complaints as an error.

    A file that it takes for a network without inputs or outputs (it accepts any bytes) counts as rejected.

    Raises:
        MissingDependencyError: the package is not installed, or does not load.
    """
    trt = require(MODULE)
    builder = trt.Builder(_logger(trt))
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, _logger(trt))
    accepted = parser.parse_from_file(str(path))
    version = f"TensorRT for RTX {trt.__version__}"
    findings = [_finding(parser.get_error(index), version) for index in range(parser.num_errors)]
    if accepted and not (network.num_inputs and network.num_outputs):
        problem = f"{version} finds {network.num_inputs} inputs and {network.num_outputs} outputs in the file"
        findings.append(Finding("parser", "error", (), problem, "export the model again"))
    elif not accepted and not findings:
        findings.append(Finding("parser", "error", (), f"{version} rejects the file and gives no reason", ""))
    return tuple(findings)


def _finding(error: Any, version: str) -> Finding:
    lines = [line for line in error.desc().splitlines() if not any(word in line for word in _SPURIOUS)]
    name = error.node_name()
    return Finding("parser", "error", (name,) if name else (), f"is rejected by {version}: {' '.join(lines)}", "")


@cache
def _logger(trt: ModuleType) -> Any:
    """One logger for the life of the process, as the library demands; the parser keeps its errors itself."""
    base: Any = trt.ILogger

    class Silent(base):  # type: ignore[misc]
        def log(self, severity: object, message: str) -> None:
            pass

    return Silent()
