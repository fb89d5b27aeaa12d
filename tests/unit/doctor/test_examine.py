"""The doctor: each package in a process of its own, misfits and verdicts from what they answered."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from fcn_deploy.doctor.examine import Examination, ask_all
from fcn_deploy.doctor.probes import ProbeResult
from fcn_deploy.doctor.text import found_lines, misfit_lines, verdict_lines
from fcn_deploy.doctor.verdicts import CapabilityVerdict, verdicts
from fcn_deploy.system.progress import SILENT
from tests.support.doctor_findings import NO_DRIVER, findings

PACKAGES = {"torch": "2.13", "onnxruntime-gpu": "1.31", "openvino": "2026.4.1"}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Puts a package of one file before all others, here and in child processes."""

    def make(name: str, code: str) -> None:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(textwrap.dedent(code))
        monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    return make


def test_a_package_that_crashes_takes_its_own_process_down_alone(package):
    package("torch", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    found = ask_all(("torch", "image packages"), SILENT, 60)
    assert found["torch"].error == "its process was ended by SIGSEGV"
    assert found["image packages"] == ProbeResult()


def test_a_package_that_hangs_is_given_up(package):
    package("torch", "import time; time.sleep(100)")
    assert ask_all(("torch",), SILENT, 1.5)["torch"].error == "its process gave no answer within 2 s"


def test_a_package_that_raises_or_leaves_is_reported_in_one_line(package):
    package("torch", "raise RuntimeError('bad build\\nmore')")
    package("PIL", "import os, sys; print('dying', file=sys.stderr, flush=True); os._exit(3)")
    found = ask_all(("torch", "image packages"), SILENT, 60)
    assert found["torch"].error == "RuntimeError: bad build"
    assert found["image packages"].error == "its process ended with exit code 3: dying"


def test_where_onnx_is_broken_onnxruntime_is_not_blamed(package):
    package("onnx", "raise ImportError('bad protobuf')")
    found = ask_all(("onnxruntime", "cuda"), SILENT, 60)
    assert found["onnxruntime"].error == "it cannot be tried without onnx: bad protobuf"
    assert found["cuda"].error == "it cannot be tried without onnx: bad protobuf"


def test_what_a_package_prints_does_not_hide_the_answer(package):
    package("PIL", "print('{}'); import atexit; atexit.register(print, 'bye')")
    package("PIL/Image", "")
    package("safetensors", "")
    package("safetensors/numpy", "")
    assert ask_all(("image packages",), SILENT, 60)["image packages"] == ProbeResult()


def test_the_openvino_that_is_installed_runs_the_small_file():
    pytest.importorskip("openvino")
    found = ask_all(("openvino",), SILENT, 60)["openvino"]
    assert found.error == ""
    assert "cpu" in found.facts["devices"]
    assert "cpu" not in found.facts["failed"]
    assert "FP32" in found.facts["types"]


def test_an_openvino_that_does_not_load_is_a_finding(package):
    package("openvino", "raise ImportError('libopenvino.so: cannot open')")
    found = ask_all(("openvino",), SILENT, 60)["openvino"]
    assert found.error == "openvino is installed but does not load: libopenvino.so: cannot open"


def test_a_broken_core_package_breaks_what_needs_it_and_nothing_else():
    broken = ProbeResult(error="its process was ended by SIGSEGV")
    unable = {found.capability for found in verdicts(findings(onnxruntime=broken)) if not found.able}
    assert unable == {"export", "audit and quantize", "predict and evaluate from ONNX files", "bench on the CPU"}
    examination = Examination({}, {}, (), verdicts(findings(onnxruntime=broken)), 1.0)
    assert examination.broken
    assert "can export: no, onnxruntime: its process was ended by SIGSEGV" in verdict_lines(examination)
    assert not Examination({}, {}, (), verdicts(findings(driver=NO_DRIVER)), 1.0).broken


def test_the_report_has_a_line_for_each_thing_found():
    machine = {"cpu": "EPYC", "cores": 2, "python": "3.11.7", "packages": PACKAGES}
    examination = Examination(
        machine, findings(), ("a and b",), (CapabilityVerdict("fly", False, "no wings"),), 1.0, ("c",)
    )
    assert found_lines(examination) == [
        "processor        EPYC, 2 cores; Python 3.11.7",
        "driver           580.65.06, CUDA up to 13.0",
        "GPU              NVIDIA L4, SM89, 24.0 GiB",
        "torch            2.13, built for CUDA 13.0",
        "onnxruntime-gpu  1.31, built for CUDA 13.0; with the providers tensorrt, cuda, cpu",
        "openvino         2026.4.1, with the devices cpu, gpu; the CPU computes in FP32, BF16, INT8",
    ]
    assert misfit_lines(examination) == ["does not fit: a and b", "note: c"]
    assert verdict_lines(examination) == ["can fly: no, no wings"]
