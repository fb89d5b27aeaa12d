"""Find TensorRT for RTX's provider as NVIDIA's plugin for ONNX Runtime, and the GPUs that it offers."""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import Any

from fcn_deploy.errors import MissingDependencyError, RunnerError, first_line
from fcn_deploy.system.optional import require

# TensorRT for RTX's provider: https://nvidia.github.io/TensorRT-RTX-EP-ABI/installation.html
PLUGIN = "onnxruntime_ep_nv_tensorrt_rtx"


def find_plugin() -> ModuleType | None:
    """Return the package of TensorRT for RTX's provider, None if it is not there or does not load."""
    try:
        return require(PLUGIN)
    except MissingDependencyError:
        return None


def plugin_device(ort: ModuleType, plugin: ModuleType, device_id: int) -> Any:
    """Return the GPU number `device_id` as the plugin offers it.

    Raises:
        RunnerError: the plugin does not load, or it offers no such GPU; in onnxruntime's words.
    """
    _register(ort, plugin)
    devices = [device for device in ort.get_ep_devices() if device.ep_name == plugin.get_ep_name()]
    if device_id >= len(devices):
        raise RunnerError(f"{plugin.get_ep_name()} offers {len(devices)} GPUs and device_id is {device_id}")
    return devices[device_id]


@cache
def _register(ort: ModuleType, plugin: ModuleType) -> None:
    """Register the library once per process."""
    try:
        ort.register_execution_provider_library(plugin.get_ep_name(), plugin.get_library_path())
    except Exception as error:  # onnxruntime's exceptions have no base of their own
        reason = str(error).partition(" with error: ")[2] or str(error)
        raise RunnerError(f"{plugin.get_ep_name()} did not start: {first_line(reason)}") from error
