"""The primary context of one GPU: the one that PyTorch uses too, current only while a call needs it.

A context is retained once in the life of a process and let go at its end: PyCUDA's `detach` of a primary context leaves
it pushed on the driver's stack of the thread. Memory, streams and events are freed by those who made them.
"""

from __future__ import annotations

import atexit
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

from fcn_deploy.engine.gpus import driver_library
from fcn_deploy.errors import MissingDependencyError, RunnerError, one_line
from fcn_deploy.system.optional import require

DRIVER_LIBRARIES = ("libcuda", "nvcuda")
REMEDY = "engines run where an NVIDIA GPU and its driver are"


class CudaDevice:
    """One GPU as PyCUDA shows it. Every call of the driver is made inside `active`, by whichever thread it is.

    Attributes:
        driver: the module `pycuda.driver`.
        ordinal: its number; name: "NVIDIA L4"; sm: its compute capability, "SM89".
    """

    def __init__(self, ordinal: int = 0) -> None:
        """Retain the primary context of GPU `ordinal` (counted as CUDA_VISIBLE_DEVICES leaves them).

        Raises:
            MissingDependencyError: PyCUDA is not installed.
            RunnerError: there is no driver, no such GPU, or it cannot be used.
        """
        self.driver: Any = load_driver()
        self.ordinal = ordinal
        try:
            count = self.driver.Device.count()
            if not 0 <= ordinal < count:
                raise RunnerError(f"there is no GPU {ordinal}; CUDA shows {count} to this process")
            self._context = _primary_context(self.driver, ordinal)
            device = self.driver.Device(ordinal)
            self.name: str = device.name()
            self.sm = "SM{}{}".format(*device.compute_capability())
        except self.driver.Error as error:
            raise RunnerError(f"GPU {ordinal} cannot be used: {one_line(error)}") from error

    @contextmanager
    def active(self, doing: str) -> Iterator[None]:
        """Make the context current in this thread; errors of the driver become RunnerError("... while `doing`")."""
        try:
            self._context.push()
            try:
                yield
            finally:
                self.driver.Context.pop()
        except self.driver.Error as error:
            raise RunnerError(f"{self.name}: {one_line(error)} while {doing}") from error

    def free_bytes(self) -> tuple[int, int]:
        """Free and total memory of the GPU; call it inside `active`."""
        free, total = self.driver.mem_get_info()
        return int(free), int(total)


@cache
def _primary_context(driver: ModuleType, ordinal: int) -> Any:
    context = driver.Device(ordinal).retain_primary_context()
    # Left to its destructor, PyCUDA would detach it as if it had been created, which the driver refuses with a warning.
    atexit.register(context.detach)
    return context


def load_driver() -> ModuleType:
    """Return `pycuda.driver`, initialised.

    Raises:
        MissingDependencyError: PyCUDA is not installed, or does not load for another reason than the driver.
        RunnerError: there is no NVIDIA driver, or it does not start.
    """
    try:
        driver = require("pycuda.driver")
    except MissingDependencyError as error:
        if any(library in str(error) for library in DRIVER_LIBRARIES):
            reason = one_line(error.__cause__ or error)
            raise RunnerError(f"no NVIDIA driver: {reason}; {REMEDY}") from error
        try:  # where there is no driver, a package that is compiled on installation would not help
            driver_library()
        except OSError as missing:
            raise RunnerError(f"{missing}; {REMEDY}, and with PyCUDA") from error
        raise
    try:
        driver.init()
    except driver.Error as error:
        raise RunnerError(f"the NVIDIA driver does not start: {one_line(error)}") from error
    return driver
