"""Collect the log messages of a TensorRT library through the one logger that it accepts per process.

The library keeps the first logger that it meets, for builders, parsers and runtimes alike, and reports failures only
through it. So there is one, it never filters, and whoever calls the library listens meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import Any

# What every call adds to its own error on a machine without a driver: CUDA's error 35 and its place in the source.
_SPURIOUS = ("cudaError_t 35", "cudaErrorInsufficientDriver", "CUDA driver version is insufficient", "checkMacros")


@dataclass
class LogMessages:
    """Log messages in the order in which they came.

    Attributes:
        messages: (severity, text), severity one of "INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE".
    """

    messages: list[tuple[str, str]] = field(default_factory=list)

    @property
    def errors(self) -> list[str]:
        """Error lines, each once, without those that a missing driver adds to every call."""
        found = [text for severity, text in self.messages if severity in ("INTERNAL_ERROR", "ERROR")]
        return list(dict.fromkeys(line for text in found for line in significant_lines(text)))

    @property
    def lines(self) -> list[str]:
        """Every line of every severity."""
        return [line for _, text in self.messages for line in text.splitlines()]

    def reason(self, otherwise: str = "the library gives no reason") -> str:
        """Return TensorRT's own words for a failure, in one line."""
        return " ".join(self.errors) or otherwise


def significant_lines(text: str) -> list[str]:
    """Return the lines of an error but for those that a missing driver adds to every call."""
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not any(word in line for word in _SPURIOUS)]


@contextmanager
def capture_log(trt: ModuleType) -> Iterator[LogMessages]:
    """Collect what the library logs while the block runs; blocks may be nested."""
    log = LogMessages()
    listeners = logger(trt).listeners
    listeners.append(log)
    try:
        yield log
    finally:
        listeners[:] = [other for other in listeners if other is not log]


def create(trt: ModuleType, kind: Callable[..., Any], *arguments: Any) -> Any:
    """Return a `trt.Builder`, `trt.OnnxParser` or `trt.Runtime`.

    None where the library cannot start, for want of a driver or because its files are of different releases: it gives
    nothing, and its bindings raise TypeError.
    """
    try:
        return kind(*arguments, logger(trt))
    except TypeError:
        return None


@cache
def logger(trt: ModuleType) -> Any:
    """Return the logger to hand to each Builder, OnnxParser, Runtime and Refitter of this library."""
    base: Any = trt.ILogger

    class Listening(base):  # type: ignore[misc]
        def __init__(self) -> None:
            base.__init__(self)
            self.listeners: list[LogMessages] = []

        def log(self, severity: Any, message: str) -> None:
            name = str(severity).rpartition(".")[2]
            for log in tuple(self.listeners):
                log.messages.append((name, message))

    return Listening()
