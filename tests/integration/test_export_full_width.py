"""The full-width network, 134 million parameters: `make long`."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from fcn_deploy.card import VOC_CLASSES
from fcn_deploy.models.checkpoints import save_model
from fcn_deploy.models.registry import build, new_card


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux")
def test_fcn8s_is_exported_and_proven_within_four_gigabytes(tmp_path):
    card = new_card("fcn8s", VOC_CLASSES)
    save_model(tmp_path / "full.safetensors", build(card), card)
    command = ["export", tmp_path / "full.safetensors", "-o", tmp_path / "full.onnx", "--json", "-"]
    done = subprocess.run([sys.executable, "-m", "fcn_deploy", *command], capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    assert report["weights_bytes"] > 4 * 134_000_000
    assert all(tick["passed"] for tick in report["ticks"])
    import resource

    # The largest child of this process was the export.
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 4_000_000
