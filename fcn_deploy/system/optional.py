"""Import optional packages where they are first used, with an error that says how to install them."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

from fcn_deploy.errors import MissingDependencyError

# module -> (what to install, extra of this project that holds it)
EXTRAS = {
    "av": "video",
    "cuda": "graphs",
    "nncf": "peers",
    "onnxsim": "peers",
    "openvino": "openvino",
    "pyarrow": "s3",
    "pycuda": "cuda",
    "pynvml": "nvml",
    "ray": "ray",
    "tensorrt": "tensorrt",
    "tensorrt_rtx": "rtx",
    "torchmetrics": "peers",
}
# Dependencies that an installation which only runs ONNX files can do without (docs/edge.md).
LEFT_OUT = {"torch": "PyTorch", "onnxscript": "onnxscript"}
# Read when a package is imported. ONNX Runtime 1.31 would write a device id and a queue of events into the user's cache
# and the temporary folder, and start a thread; its function that turns telemetry off comes after that.
_ENVIRONMENT = {"onnxruntime": {"ORT_DISABLE_TELEMETRY": "1"}}


def require(module: str) -> ModuleType:
    """Import `module`.

    Raises:
        MissingDependencyError: it is not installed (the message names the extra), or it is installed but does
            not load (the message has the loader's own words, such as a missing driver library).
    """
    for name, value in _ENVIRONMENT.get(module, {}).items():
        os.environ.setdefault(name, value)
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.split(".")[0] != module.split(".")[0]:
            raise MissingDependencyError(f"{module} is installed but needs {error.name}, which is not") from error
        raise MissingDependencyError(f"{module} is not installed; try: {_install_command(module)}") from error
    except (ImportError, OSError) as error:
        raise MissingDependencyError(f"{module} is installed but does not load: {error}") from error
    if found.__spec__ is not None and found.__spec__.origin is None:  # a folder that an uninstall left behind
        left = ", ".join(found.__path__)
        raise MissingDependencyError(f"{module} is not installed, only {left} is left; try: {_install_command(module)}")
    return found


def absence(error: BaseException) -> str | None:
    """Return the line for an import that failed because one of `LEFT_OUT` is not installed; None for another error."""
    name = error.name if isinstance(error, ModuleNotFoundError) else None
    if name not in LEFT_OUT:
        return None
    return f"this needs {LEFT_OUT[name]}, which is not installed; try: {_install_command(name)}"


def _install_command(module: str) -> str:
    root = module.split(".")[0]
    extra = EXTRAS.get(root)
    return f"pip install 'fcn-deploy[{extra}]'" if extra else f"pip install {root}"
