"""Versions that do not fit each other."""

from __future__ import annotations

import sys
from pathlib import Path

from fcn_deploy.doctor.probes import ProbeResult
from fcn_deploy.doctor.verdicts import misfits, remarks
from tests.support.doctor_findings import GPU, NO_DRIVER, findings, ort


def install(folder: Path, name: str, version: str, *needs: str) -> None:
    """The metadata of a distribution."""
    made = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    made.mkdir()
    lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {need}" for need in needs)]
    (made / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", *lines, ""]))


def test_two_onnxruntimes_in_one_folder_do_not_fit(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    install(tmp_path, "onnxruntime", "1.20.0")
    assert misfits(findings(), {}) == ()
    install(tmp_path, "onnxruntime-gpu", "1.31.1")
    (line,) = misfits(findings(), {})
    assert line.startswith("onnxruntime 1.20.0 and onnxruntime-gpu 1.31.1 share one folder")
    assert "pip uninstall onnxruntime onnxruntime-gpu" in line


def test_requirements_that_are_not_met_are_named_with_what_is_there(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    install(tmp_path, "numpy", "2.4.6")
    install(tmp_path, "onnx", "1.17.0", "numpy<2", "numpy>=1.20", "absent-package>=3", "docs-tool; extra == 'docs'")
    assert misfits(findings(), {"onnx": "1.17.0"})[:2] == (
        "onnx needs numpy<2, and 2.4.6 is installed; pip install 'numpy<2'",
        "onnx needs absent-package>=3, which is not installed; pip install 'absent-package>=3'",
    )


def test_one_build_of_onnxruntime_replaces_another(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    install(tmp_path, "fcn-deploy", "0.1.0", "onnxruntime-gpu>=1.20")
    install(tmp_path, "onnxruntime", "1.31.1")
    assert misfits(findings(), {}) == ()
    (tmp_path / "onnxruntime-1.31.1.dist-info").rename(tmp_path / "x")
    assert misfits(findings(), {})[0].startswith("fcn-deploy needs onnxruntime-gpu>=1.20, which is not installed")


def test_a_driver_too_old_for_a_major_cuda_version_is_named_a_minor_one_is_not():
    old = ProbeResult({"version": "550", "cuda": [12, 4], "gpus": [GPU]})
    torch = ProbeResult({"version": "2.13", "cuda": "12.8", "gpu_error": ""})
    lines = misfits(findings(driver=old, torch=torch), {})
    assert [line for line in lines if line.startswith(("torch", "onnxruntime"))] == [
        "onnxruntime is built for CUDA 13.0 and the driver supports CUDA up to 12.4; update the driver, or install "
        "onnxruntime for CUDA 12"
    ]


def test_the_libraries_of_two_cudas_do_not_serve_each_other():
    torch = ProbeResult({"version": "2.13", "cuda": "12.8", "gpu_error": ""})
    missing = ort(missing_libraries=["libcublas.so.13"])
    assert "brings the libraries of CUDA 12.8" in misfits(findings(torch=torch, onnxruntime=missing), {})[0]
    assert misfits(findings(torch=torch), {}) == ()


def test_libraries_of_two_cudas_matter_only_where_there_is_a_gpu():
    torch = ProbeResult({"version": "2.13", "cuda": "12.8", "gpu_error": ""})
    missing = ort(missing_libraries=["libcublas.so.13"])
    assert misfits(findings(driver=NO_DRIVER, torch=torch, onnxruntime=missing), {}) == ()


def test_onnxs_newest_ir_version_is_a_remark_and_no_misfit():
    found = findings(onnxruntime=ort(newest_ir=14, reads_newest_ir=False))
    assert misfits(found, {"onnx": "1.23.2"}) == ()
    (line,) = remarks(found, {"onnx": "1.23.2"})
    assert line == (
        "files of fcn-deploy run here; for files that you write with onnx 1.23.2 yourself set ir_version below 14, "
        "which onnxruntime 1.31.1 does not read"
    )
    assert remarks(findings(), {}) == ()
