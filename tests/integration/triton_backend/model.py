"""ONNX Runtime as a backend of Triton in Python, for a tritonserver that comes without its own.

Arrays pass by DLPack: `as_numpy` and `Tensor(name, array)` of many releases read the item size where only NumPy 1
has it.
"""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """The interface that Triton's Python backend asks for."""

    @staticmethod
    def auto_complete_config(config):
        """Add nothing: what `package` wrote must be enough."""
        return config

    def initialize(self, args):
        config = json.loads(args["model_config"])
        file = Path(args["model_repository"], args["model_version"], config["default_model_filename"])
        self.session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        self.inputs, self.outputs = ([port["name"] for port in config[kind]] for kind in ("input", "output"))

    def execute(self, requests):
        """One inference for all requests that Triton put together."""
        given = [
            [np.from_dlpack(pb_utils.get_input_tensor_by_name(request, name)) for name in self.inputs]
            for request in requests
        ]
        feeds = {
            name: np.concatenate(arrays) for name, arrays in zip(self.inputs, zip(*given, strict=True), strict=True)
        }
        ends = np.cumsum([len(arrays[0]) for arrays in given])[:-1]
        parts = [np.split(array, ends) for array in self.session.run(self.outputs, feeds)]
        return [self._response(arrays) for arrays in zip(*parts, strict=True)]

    def _response(self, arrays):
        named = zip(self.outputs, arrays, strict=True)
        return pb_utils.InferenceResponse([pb_utils.Tensor.from_dlpack(name, array) for name, array in named])
