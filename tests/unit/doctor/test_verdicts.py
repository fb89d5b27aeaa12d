"""What each runner can do here, judged by what its probe found."""

from __future__ import annotations

from fcn_deploy.doctor.probes import ProbeResult
from fcn_deploy.doctor.verdicts import CapabilityVerdict, misfits, verdicts
from tests.support.doctor_findings import NO_DRIVER, OPENVINO, RTX, findings, ort

NO_PYCUDA = ProbeResult(error="pycuda is not installed; try: pip install pycuda")


def verdict(capability: str, **changes: ProbeResult) -> CapabilityVerdict:
    return next(found for found in verdicts(findings(**changes)) if found.capability == capability)


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
    build = verdict("build TensorRT engines", tensorrt=ProbeResult(error="tensorrt is not installed"), **changes)
    assert build.reason == f"tensorrt is not installed; it needs a GPU besides, and {NO_DRIVER.error}"


def test_an_engine_that_the_gpu_refuses_is_a_no_in_the_librarys_words():
    refused = ProbeResult({**RTX.facts, "load_error": "SM 90 is not supported"})
    found = verdict("run RTX engines", tensorrt_rtx=refused)
    assert found.reason == "TensorRT for RTX 1.7 does not load its own engine here: SM 90 is not supported"
    assert verdict("build RTX engines", tensorrt_rtx=refused).able


def test_pytorch_without_cuda_and_with_a_cuda_that_fails_are_distinguished():
    cpu = ProbeResult({"version": "2.13.0+cpu", "cuda": None, "gpu_error": ""})
    assert "torch 2.13.0+cpu was built without CUDA" in verdict("use PyTorch on CUDA", torch=cpu).reason
    failing = ProbeResult({"version": "2.6", "cuda": "12.4", "gpu_error": "no kernel image is available"})
    assert "built for CUDA 12.4: no kernel image" in verdict("use PyTorch on CUDA", torch=failing).reason
    assert verdict("use PyTorch on CUDA", torch=failing, driver=NO_DRIVER).reason == NO_DRIVER.error


def test_a_provider_lists_every_library_that_is_missing_and_the_fix():
    changes = {
        "onnxruntime": ort(missing_libraries=["libcublas.so.13", "libcudnn.so.9"]),
        "cuda": ProbeResult(
            error="onnxruntime:cuda: CUDAExecutionProvider did not start: libcublas.so.13: cannot open"
        ),
    }
    assert verdict("use ONNX Runtime on CUDA", **changes).reason == (
        "onnxruntime does not find libcublas.so.13, libcudnn.so.9; try: pip install 'onnxruntime-gpu[cuda,cudnn]'"
    )


def test_a_plugin_that_brings_its_own_libraries_does_not_miss_onnxruntimes():
    changes = {
        "onnxruntime": ort(missing_libraries=["libcublas.so.13"]),
        "nvtensorrtrtx": ProbeResult(error="onnxruntime:nvtensorrtrtx: onnxruntime was built without it"),
    }
    assert verdict("use ONNX Runtime on TensorRT for RTX", **changes).reason == "onnxruntime was built without it"
    changes["nvtensorrtrtx"] = ProbeResult(error="NvTensorRTRTX did not start: libcuda.so.1: cannot open")
    assert verdict("use ONNX Runtime on TensorRT for RTX", **changes).reason == changes["nvtensorrtrtx"].error
    found = verdict("use ONNX Runtime on TensorRT for RTX", driver=NO_DRIVER, **changes)
    assert found.reason == NO_DRIVER.error


def test_a_provider_that_wants_another_tensorrt_says_which():
    error = "onnxruntime:tensorrt: TensorrtExecutionProvider did not start: libnvinfer.so.10: cannot open"
    found = verdict("use ONNX Runtime on TensorRT", tensorrt_provider=ProbeResult(error=error))
    assert found.reason.endswith(
        "libnvinfer.so.10: cannot open; it wants TensorRT 10, try: pip install 'tensorrt>=10,<11'"
    )


def test_openvino_runs_where_one_of_its_devices_does_and_says_which_do_not():
    assert verdict("use OpenVINO").reason == "OpenVINO 2026.4.1 ran a small file on cpu, gpu"
    half = verdict("use OpenVINO", openvino=ProbeResult(OPENVINO | {"failed": {"gpu": "openvino:gpu: no kernel"}}))
    assert half == CapabilityVerdict(
        "use OpenVINO", True, "OpenVINO 2026.4.1 ran a small file on cpu; openvino:gpu: no kernel"
    )
    broken = ProbeResult(
        OPENVINO | {"failed": {"cpu": "openvino:cpu computes wrong labels", "gpu": "openvino:gpu: no"}}
    )
    assert not verdict("use OpenVINO", openvino=broken).able
    none = verdict("use OpenVINO", openvino=ProbeResult(OPENVINO | {"devices": []}))
    assert none == CapabilityVerdict("use OpenVINO", False, "OpenVINO 2026.4.1 finds no device")
    absent = "openvino is not installed; try: pip install 'fcn-deploy[openvino]'"
    assert verdict("use OpenVINO", openvino=ProbeResult(error=absent)) == CapabilityVerdict(
        "use OpenVINO", False, absent
    )
    assert not verdict("use OpenVINO").core
