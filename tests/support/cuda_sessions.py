"""ONNX Runtime's CUDA provider as a double: sessions compute on the CPU, and what they were asked for is kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import onnxruntime
import pytest

from fcn_deploy.runners.ort import session as ort_session

NAME = "CUDAExecutionProvider"


@dataclass
class Opened:
    """One session: provider options, sizes that were fixed, and its runs so far."""

    options: dict[str, str]
    sizes: dict[str, int]
    runs: int = 0
    addresses: set[tuple[str, ...]] = field(default_factory=set)

    @property
    def graph(self) -> bool:
        return self.options.get("enable_cuda_graph") == "1"


class CudaSession:
    """A CPU session that says it is CUDA's."""

    def __init__(self, session: Any, opened: Opened, double: CudaDouble) -> None:
        self._session, self._opened, self._double = session, opened, double

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._session, name)
        return self._assignment if name == "get_provider_graph_assignment_info" else found  # onnxruntime >= 1.24

    def _assignment(self) -> list[Any]:
        parts = self._session.get_provider_graph_assignment_info()
        return [type("Part", (), {"ep_name": NAME, "get_nodes": part.get_nodes}) for part in parts]

    def get_providers(self) -> list[str]:
        return [NAME]

    def run_with_iobinding(self, binding: Any, options: Any = None) -> None:
        self._opened.runs += 1
        self._double.on_run(self._opened)
        time.sleep(self._double.seconds(self._opened))
        self._session.run_with_iobinding(binding, options)


@dataclass
class CudaDouble:
    """What every session was opened with; the three functions may raise, or make a session slow."""

    opened: list[Opened] = field(default_factory=list)
    on_open: Callable[[Opened], None] = lambda opened: None
    on_run: Callable[[Opened], None] = lambda opened: None
    seconds: Callable[[Opened], float] = lambda opened: 0.0

    @property
    def fixed(self) -> list[Opened]:
        return [one for one in self.opened if one.sizes]


def install(monkeypatch: pytest.MonkeyPatch) -> CudaDouble:
    """Put the double in the place of onnxruntime's CUDA provider; buffers stay on the host."""
    double = CudaDouble()
    session, options = onnxruntime.InferenceSession, onnxruntime.SessionOptions

    class Options(options):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            super().__init__()
            self.sizes: dict[str, int] = {}

        def add_free_dimension_override_by_name(self, name: str, size: int) -> None:
            self.sizes[name] = size
            super().add_free_dimension_override_by_name(name, size)

    def create(path: str, options: Any, providers: Any, **_: Any) -> CudaSession:
        ((name, texts),) = providers
        assert name == NAME
        opened = Opened(dict(texts), options.sizes)
        double.opened.append(opened)
        double.on_open(opened)
        return CudaSession(session(path, options, providers=["CPUExecutionProvider"]), opened, double)

    monkeypatch.setattr(onnxruntime, "InferenceSession", create)
    monkeypatch.setattr(onnxruntime, "SessionOptions", Options)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [NAME, "CPUExecutionProvider"])
    monkeypatch.setattr(ort_session, "CUDA_FAMILY", ())
    return double
