"""Optional packages."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from fcn_deploy.errors import MissingDependencyError
from fcn_deploy.system.optional import require


def test_a_folder_that_an_uninstall_left_is_no_package(tmp_path, monkeypatch):
    (tmp_path / "was_installed").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(
        MissingDependencyError, match=r"is not installed, only .*was_installed is left; try: pip install"
    ):
        require("was_installed")


def test_onnx_runtime_keeps_no_device_id_and_no_events(tmp_path):
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / ".cache"), "TMPDIR": str(tmp_path)}
    code = "from fcn_deploy.graph.session import load_onnxruntime; load_onnxruntime()"
    without = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    subprocess.run([sys.executable, "-c", code], env=without | home, check=True)
    assert list(tmp_path.iterdir()) == []
