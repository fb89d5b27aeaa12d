from __future__ import annotations

import subprocess
import sys

HEAVY = {"torch", "onnx", "onnxruntime", "openvino", "ray", "av", "pyarrow"}


def test_a_process_that_decodes_and_writes_loads_no_framework():
    code = "import sys, fcn_deploy.prediction.workers.process; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "PIL" in loaded
    assert not loaded & HEAVY
