"""What a prediction on a CPU loads."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
from PIL import Image

CODE = """
import sys
import torch
torchs = set(sys.modules)  # a build for CUDA imports cuda.bindings
from fcn_deploy.cli.main import cli
cli(sys.argv[1:], standalone_mode=False)
print([name for name in sys.modules if name.startswith(("fcn_deploy.runners.cuda", "fcn_deploy.runners.trt"))])
cuda = ("pycuda", "tensorrt", "tensorrt_rtx", "cuda")
print([name for name in {*sys.modules} - torchs if name.partition(".")[0] in cuda])
"""


def test_predict_on_a_cpu_imports_no_cuda_module(tmp_path):
    Image.fromarray(np.zeros((33, 47, 3), np.uint8)).save(tmp_path / "a.png")
    command = [sys.executable, "-c", CODE, "predict", "demo", str(tmp_path / "a.png"), "-o", str(tmp_path / "out")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["[]", "[]"]
    assert (tmp_path / "out" / "a.png").is_file()
