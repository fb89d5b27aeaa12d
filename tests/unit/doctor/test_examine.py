"""The doctor: each package in a process of its own, misfits and verdicts from what they answered."""

from __future__ import annotations

import ctypes
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fcn_deploy.doctor import driver as doctor_driver
from fcn_deploy.doctor.compatibility import misfits
from fcn_deploy.doctor.examine import Examination, ask_all
from fcn_deploy.doctor.probe_model import IMAGE, LABELS, write_tiny
from fcn_deploy.doctor.probes import PROBES, Finding
from fcn_deploy.doctor.text import found_lines, misfit_lines, verdict_lines
from fcn_deploy.doctor.verdicts import Verdict, verdicts
from fcn_deploy.engine.gpus import Gpu
from fcn_deploy.errors import MissingDependencyError, RunnerError
from fcn_deploy.system.optional import require
from fcn_deploy.system.progress import SILENT

NO_DRIVER = Finding(error="libcuda.so.1 is missing: no NVIDIA driver")
NO_PYCUDA = Finding(error="pycuda is not installed; try: pip install pycuda")
GPU = {"name": "NVIDIA L4", "sm": "SM89", "memory_bytes": 24 << 30}
DRIVER = Finding({"version": "580.65.06", "cuda": [13, 0], "gpus": [GPU]})
RTX = Finding({"version": "1.7", "title": "TensorRT for RTX 1.7", "seconds": 0.1, "plan_bytes": 9, "load_error": ""})

OPENVINO = {"version": "2026.4.1", "devices": ["cpu", "gpu"], "failed": {}, "types": ["FP32", "BF16", "INT8"]}

PACKAGES = {"torch": "2.13", "onnxruntime-gpu": "1.31", "openvino": "2026.4.1"}


def ort(**changes: Any) -> Finding:
    facts = {
        "version": "1.31.1", "providers": ["tensorrt", "cuda", "cpu"], "cuda": "13.0", "newest_ir": 13,
        "reads_newest_ir": True, "missing_libraries": [],
    }  # fmt: skip
    return Finding(facts | changes)


def findings(**changes: Finding) -> dict[str, Finding]:
    """A machine with everything, but for the changes; "_" in their names stands for the blank of a probe's name."""
    whole = {
        "driver": DRIVER,
        "torch": Finding({"version": "2.13.0+cu130", "cuda": "13.0", "gpu_error": ""}),
        "export packages": Finding({"ir_version": 13, "opset": 26}),
        "image packages": Finding(),
        "onnxruntime": ort(),
        "cuda": Finding({"notes": []}),
        "tensorrt provider": Finding({"notes": ["2 of 6 nodes run on cuda: Cast 2"]}),
        "nvtensorrtrtx": Finding({"notes": []}),
        "openvino": Finding(OPENVINO),
        "pycuda": Finding({"devices": 1}),
        "tensorrt_rtx": RTX,
        "tensorrt": Finding({**RTX.facts, "title": "TensorRT 10.3"}),
    }
    assert set(whole) == set(PROBES)
    renamed = {name if name in whole else name.replace("_", " "): finding for name, finding in changes.items()}
    return whole | renamed


def verdict(capability: str, **changes: Finding) -> Verdict:
    return next(found for found in verdicts(findings(**changes)) if found.capability == capability)


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
    assert found["torch"].error == "crashes when it is used (SIGSEGV)"
    assert found["image packages"] == Finding()


def test_a_package_that_hangs_is_given_up(package):
    package("torch", "import time; time.sleep(100)")
    assert ask_all(("torch",), SILENT, 1.5)["torch"].error == "no answer within 2 s"


def test_a_package_that_raises_or_leaves_is_told_in_one_line(package):
    package("torch", "raise RuntimeError('bad build\\nmore')")
    package("PIL", "import os, sys; print('dying', file=sys.stderr, flush=True); os._exit(3)")
    found = ask_all(("torch", "image packages"), SILENT, 60)
    assert found["torch"].error == "RuntimeError: bad build"
    assert found["image packages"].error == "ends with exit code 3: dying"


def test_where_onnx_is_broken_onnxruntime_is_not_blamed(package):
    package("onnx", "raise ImportError('bad protobuf')")
    found = ask_all(("onnxruntime", "cuda"), SILENT, 60)
    assert found["onnxruntime"].error == "it cannot be tried without onnx: bad protobuf"
    assert found["cuda"].error == "it cannot be tried without onnx: bad protobuf"


def test_a_folder_that_an_uninstall_left_is_no_package(tmp_path, monkeypatch):
    (tmp_path / "was_installed").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(
        MissingDependencyError, match=r"is not installed, only .*was_installed is left; try: pip install"
    ):
        require("was_installed")


def test_what_a_package_prints_does_not_hide_the_answer(package):
    package("PIL", "print('{}'); import atexit; atexit.register(print, 'bye')")
    package("PIL/Image", "")
    package("safetensors", "")
    package("safetensors/numpy", "")
    assert ask_all(("image packages",), SILENT, 60)["image packages"] == Finding()


class FakeCuda:
    """libcuda and libnvidia-ml with two GPUs; `code` is what cuInit gives."""

    def __init__(self, code: int = 0) -> None:
        self.code = code

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self.code

    def cuGetErrorName(self, code: int, name: Any) -> int:  # noqa: N802
        name._obj.value = b"CUDA_ERROR_NO_DEVICE"
        return 0

    def cuDriverGetVersion(self, version: Any) -> int:  # noqa: N802
        version._obj.value = 12040
        return 0

    def cuDeviceGet(self, device: Any, index: int) -> int:  # noqa: N802
        device._obj.value = index
        return 0

    def cuDeviceTotalMem_v2(self, size: Any, device: Any) -> int:  # noqa: N802
        size._obj.value = (device.value + 1) << 33
        return 0

    def nvmlInit_v2(self) -> int:  # noqa: N802
        return 0

    def nvmlSystemGetDriverVersion(self, text: Any, size: int) -> int:  # noqa: N802
        text.value = b"550.54.14"
        return 0


def test_the_driver_tells_versions_gpus_and_their_memory(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: FakeCuda())
    monkeypatch.setattr(doctor_driver, "gpus", lambda: (Gpu("A", "SM86", "12.4"), Gpu("B", "SM90", "12.4")))
    assert doctor_driver.ask_driver() == {
        "version": "550.54.14",
        "cuda": [12, 4],
        "gpus": [
            {"name": "A", "sm": "SM86", "memory_bytes": 8 << 30},
            {"name": "B", "sm": "SM90", "memory_bytes": 16 << 30},
        ],
    }


def test_a_driver_that_is_missing_and_one_that_does_not_start_are_told_apart(monkeypatch):
    def absent(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", absent)
    with pytest.raises(RunnerError, match=r"^libcuda\.so\.1 is missing: no NVIDIA driver$"):
        doctor_driver.ask_driver()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: FakeCuda(100))
    with pytest.raises(RunnerError, match=r"does not start: CUDA_ERROR_NO_DEVICE \(100\)"):
        doctor_driver.ask_driver()


def test_a_machine_with_everything_can_do_everything():
    assert all(found.able for found in verdicts(findings()))
    assert misfits(findings(), {}) == ()
    assert verdict("run RTX engines").reason == "on NVIDIA L4 (SM89)"
    assert "2 of 6 nodes run on cuda" in verdict("use ONNX Runtime on TensorRT").reason


def test_without_a_driver_rtx_engines_can_be_built_and_not_run():
    changes = {"driver": NO_DRIVER, "pycuda": NO_PYCUDA}
    assert verdict("build RTX engines", **changes).able
    run = verdict("run RTX engines", **changes)
    assert run.reason == f"{NO_DRIVER.error}; {NO_PYCUDA.error}"
    build = verdict("build TensorRT engines", tensorrt=Finding(error="tensorrt is not installed"), **changes)
    assert build.reason == f"tensorrt is not installed; it needs a GPU besides, and {NO_DRIVER.error}"


def test_an_engine_that_the_gpu_refuses_is_a_no_in_the_librarys_words():
    refused = Finding({**RTX.facts, "load_error": "SM 90 is not supported"})
    found = verdict("run RTX engines", tensorrt_rtx=refused)
    assert found.reason == "TensorRT for RTX 1.7 does not load its own engine here: SM 90 is not supported"
    assert verdict("build RTX engines", tensorrt_rtx=refused).able


def test_pytorch_without_cuda_and_with_a_cuda_that_fails_are_told_apart():
    cpu = Finding({"version": "2.13.0+cpu", "cuda": None, "gpu_error": ""})
    assert "torch 2.13.0+cpu was built without CUDA" in verdict("use PyTorch on CUDA", torch=cpu).reason
    failing = Finding({"version": "2.6", "cuda": "12.4", "gpu_error": "no kernel image is available"})
    assert "built for CUDA 12.4: no kernel image" in verdict("use PyTorch on CUDA", torch=failing).reason
    assert verdict("use PyTorch on CUDA", torch=failing, driver=NO_DRIVER).reason == NO_DRIVER.error


def test_a_provider_lists_every_library_that_is_missing_and_the_mend():
    changes = {
        "onnxruntime": ort(missing_libraries=["libcublas.so.13", "libcudnn.so.9"]),
        "cuda": Finding(error="onnxruntime:cuda: CUDAExecutionProvider did not start: libcublas.so.13: cannot open"),
    }
    assert verdict("use ONNX Runtime on CUDA", **changes).reason == (
        "onnxruntime does not find libcublas.so.13, libcudnn.so.9; try: pip install 'onnxruntime-gpu[cuda,cudnn]'"
    )


def test_a_plugin_that_brings_its_own_libraries_does_not_miss_onnxruntimes():
    changes = {
        "onnxruntime": ort(missing_libraries=["libcublas.so.13"]),
        "nvtensorrtrtx": Finding(error="onnxruntime:nvtensorrtrtx: onnxruntime was built without it"),
    }
    assert verdict("use ONNX Runtime on TensorRT for RTX", **changes).reason == "onnxruntime was built without it"
    changes["nvtensorrtrtx"] = Finding(error="NvTensorRTRTX did not start: libcuda.so.1: cannot open")
    assert verdict("use ONNX Runtime on TensorRT for RTX", **changes).reason == changes["nvtensorrtrtx"].error
    found = verdict("use ONNX Runtime on TensorRT for RTX", driver=NO_DRIVER, **changes)
    assert found.reason == NO_DRIVER.error


def test_a_provider_that_wants_another_tensorrt_says_which():
    error = "onnxruntime:tensorrt: TensorrtExecutionProvider did not start: libnvinfer.so.10: cannot open"
    found = verdict("use ONNX Runtime on TensorRT", tensorrt_provider=Finding(error=error))
    assert found.reason.endswith(
        "libnvinfer.so.10: cannot open; it wants TensorRT 10, try: pip install 'tensorrt>=10,<11'"
    )


def test_openvino_runs_where_one_of_its_devices_does_and_says_which_do_not():
    assert verdict("use OpenVINO").reason == "OpenVINO 2026.4.1 ran a small file on cpu, gpu"
    half = verdict("use OpenVINO", openvino=Finding(OPENVINO | {"failed": {"gpu": "openvino:gpu: no kernel"}}))
    assert half == Verdict("use OpenVINO", True, "OpenVINO 2026.4.1 ran a small file on cpu; openvino:gpu: no kernel")
    broken = Finding(OPENVINO | {"failed": {"cpu": "openvino:cpu computes wrong labels", "gpu": "openvino:gpu: no"}})
    assert not verdict("use OpenVINO", openvino=broken).able
    none = verdict("use OpenVINO", openvino=Finding(OPENVINO | {"devices": []}))
    assert none == Verdict("use OpenVINO", False, "OpenVINO 2026.4.1 finds no device")
    absent = "openvino is not installed; try: pip install 'fcn-deploy[openvino]'"
    assert verdict("use OpenVINO", openvino=Finding(error=absent)) == Verdict("use OpenVINO", False, absent)
    assert not verdict("use OpenVINO").core


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


def test_a_broken_core_package_breaks_what_stands_on_it_and_nothing_else():
    broken = Finding(error="crashes when it is used (SIGSEGV)")
    unable = {found.capability for found in verdicts(findings(onnxruntime=broken)) if not found.able}
    assert unable == {"export", "audit and quantize", "bench on the CPU"}
    examination = Examination({}, {}, (), verdicts(findings(onnxruntime=broken)), 1.0)
    assert examination.broken
    assert "can export: no, onnxruntime: crashes when it is used (SIGSEGV)" in verdict_lines(examination)
    assert not Examination({}, {}, (), verdicts(findings(driver=NO_DRIVER)), 1.0).broken


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


def test_a_driver_too_old_for_a_major_cuda_version_is_named_a_minor_one_is_not():
    old = Finding({"version": "550", "cuda": [12, 4], "gpus": [GPU]})
    torch = Finding({"version": "2.13", "cuda": "12.8", "gpu_error": ""})
    lines = misfits(findings(driver=old, torch=torch), {})
    assert [line for line in lines if line.startswith(("torch", "onnxruntime"))] == [
        "onnxruntime is built for CUDA 13.0 and the driver supports CUDA up to 12.4; update the driver, or install "
        "onnxruntime for CUDA 12"
    ]


def test_the_libraries_of_two_cudas_do_not_serve_each_other():
    torch = Finding({"version": "2.13", "cuda": "12.8", "gpu_error": ""})
    missing = ort(missing_libraries=["libcublas.so.13"])
    assert "brings the libraries of CUDA 12.8" in misfits(findings(torch=torch, onnxruntime=missing), {})[0]
    assert misfits(findings(torch=torch), {}) == ()


def test_files_of_onnxs_newest_ir_version_that_onnxruntime_does_not_read_are_a_misfit():
    (line,) = misfits(findings(onnxruntime=ort(newest_ir=14, reads_newest_ir=False)), {"onnx": "1.23.2"})
    assert line.startswith("onnx 1.23.2 writes IR version 14 unless told otherwise, which onnxruntime 1.31.1 does not")


def test_the_report_has_a_line_for_each_thing_found():
    machine = {"cpu": "EPYC", "cores": 2, "python": "3.11.7", "packages": PACKAGES}
    examination = Examination(machine, findings(), ("a and b",), (Verdict("fly", False, "no wings"),), 1.0)
    assert found_lines(examination) == [
        "processor        EPYC, 2 cores; Python 3.11.7",
        "driver           580.65.06, CUDA up to 13.0",
        "GPU              NVIDIA L4, SM89, 24.0 GiB",
        "torch            2.13, built for CUDA 13.0",
        "onnxruntime-gpu  1.31, built for CUDA 13.0; with the providers tensorrt, cuda, cpu",
        "openvino         2026.4.1, with the devices cpu, gpu; the CPU computes in FP32, BF16, INT8",
    ]
    assert misfit_lines(examination) == ["does not fit: a and b"]
    assert verdict_lines(examination) == ["can fly: no, no wings"]


def test_the_small_network_gives_the_labels_that_it_is_known_by(tmp_path):
    import numpy as np

    from fcn_deploy.runners.registry import open_runner

    with open_runner("onnxruntime", str(write_tiny(tmp_path / "tiny.onnx"))) as runner:
        assert runner.infer({"image": np.array(IMAGE, np.uint8)})["labels"].tolist() == LABELS
