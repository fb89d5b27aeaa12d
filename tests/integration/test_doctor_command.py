"""`fcn-deploy doctor` and `inspect` on this machine, whatever it has."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from fcn_deploy.errors import MissingDependencyError
from fcn_deploy.system.optional import require
from tests.support.onnx_files import write_graph


@pytest.fixture(scope="module")
def report() -> dict:
    command = [sys.executable, "-m", "fcn_deploy", "doctor", "--json", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_the_core_works_where_the_tests_run(report):
    assert [found["capability"] for found in report["verdicts"] if found["core"] and not found["able"]] == []
    assert report["broken"] is False


def test_rtx_engines_can_be_built_just_where_the_library_is(report):
    verdict = next(found for found in report["verdicts"] if found["capability"] == "build RTX engines")
    reason = ""
    try:
        require("tensorrt_rtx")
    except MissingDependencyError as error:
        reason = str(error)
    assert verdict["able"] is (reason == "")
    assert verdict["reason"] == reason or verdict["reason"].startswith("built a small one with TensorRT for RTX")


def test_without_a_driver_no_capability_of_a_gpu_is_reported(report):
    if not report["findings"]["driver"]["error"]:
        pytest.skip("this machine has an NVIDIA driver")
    on_gpu = [found for found in report["verdicts"] if found["capability"].startswith(("run", "use"))]
    on_gpu = [found for found in on_gpu if found["capability"] != "use OpenVINO"]
    assert len(on_gpu) == 6
    assert not any(found["able"] for found in on_gpu)


def test_inspect_exits_0_on_a_sound_file_and_1_with_one_line_on_a_bad_one(tmp_path, shell):
    done = shell("inspect", str(write_graph(tmp_path / "m.onnx")), "--layers")
    assert done.code == 0
    assert "contract    uint8 RGB image in, labels out" in done.out
    (tmp_path / "bad.engine").write_bytes(b"<html>" * 20)
    done = shell("inspect", str(tmp_path / "bad.engine"))
    assert done.code == 1
    assert len(done.err.splitlines()) == 1
    assert done.err.startswith("error: ")
    truncated = b"vtrt" + bytes(12) + (5000).to_bytes(8, "little") + bytes([1, 7, 1, 116]) + bytes(100)
    (tmp_path / "cut.engine").write_bytes(truncated)
    done = shell("inspect", str(tmp_path / "cut.engine"), "--json", "-")
    assert done.code == 1
    assert "truncated: 128 of 5,000 bytes" in json.loads(done.out)["faults"][0]
