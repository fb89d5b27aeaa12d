"""Follow the builder's progress, and stop it from inside."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

OnPhase = Callable[[str, int], None]


def make_monitor(trt: ModuleType, on_phase: OnPhase) -> Any:
    """Return an IProgressMonitor that reports each phase that begins, by name and number of steps.

    What `on_phase` raises is kept in `raised` and ends the build at its next step; the build then returns None.
    """
    base: Any = trt.IProgressMonitor

    class Monitor(base):  # type: ignore[misc]
        def __init__(self) -> None:
            base.__init__(self)
            self.raised: BaseException | None = None

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            try:
                on_phase(phase_name, num_steps)
            except BaseException as error:  # must not pass through the library's own frames
                self.raised = self.raised or error

        def step_complete(self, phase_name: str, step: int) -> bool:
            return self.raised is None

        def phase_finish(self, phase_name: str) -> None:
            return None

    return Monitor()
