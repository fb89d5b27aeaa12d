"""Options of ONNX Runtime's GPU providers: names as documented, one cache folder for each set of weights."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from fcn_deploy.errors import GraphError, OutputError, RunnerError, ShapeError
from fcn_deploy.runners.ort import plugin as ort_plugin
from fcn_deploy.runners.ort.options import ProviderOptions, provider_option_texts
from fcn_deploy.runners.registry import open_runner
from fcn_deploy.vocabulary import Profile
from tests.support.onnx_files import write_graph

SMALL = Profile((1, 33, 47), (2, 64, 96), (3, 128, 192))
LARGE = Profile((1, 256, 256), (1, 360, 480), (1, 512, 640))


def test_tensorrt_gets_the_profile_in_the_inputs_own_name_and_order(tmp_path):
    path = write_graph(tmp_path / "m.onnx")
    texts, notes = provider_option_texts("tensorrt", path, ProviderOptions(device_id=1, profiles=(SMALL,)))
    assert texts == {
        "device_id": "1",
        "trt_profile_min_shapes": "image:1x33x47x3",
        "trt_profile_opt_shapes": "image:2x64x96x3",
        "trt_profile_max_shapes": "image:3x128x192x3",
    }
    assert notes == ()
    path = write_graph(tmp_path / "f.onnx", image="float", names=("x", "labels", "logits"))
    texts, _ = provider_option_texts("tensorrt", path, ProviderOptions(profiles=(SMALL,)))
    assert texts["trt_profile_min_shapes"] == "x:1x3x33x47"


def test_rtx_gets_several_profiles_as_several_shapes_of_one_input(tmp_path):
    path = write_graph(tmp_path / "m.onnx")
    texts, _ = provider_option_texts(
        "nvtensorrtrtx", path, ProviderOptions(profiles=(SMALL, LARGE), cache=tmp_path / "c")
    )
    folder = texts.pop("nv_runtime_cache_path")
    assert texts == {
        "device_id": "0",
        "nv_profile_min_shapes": "image:1x33x47x3,image:1x256x256x3",
        "nv_profile_opt_shapes": "image:2x64x96x3,image:1x360x480x3",
        "nv_profile_max_shapes": "image:3x128x192x3,image:1x512x640x3",
        "nv_multi_profile_enable": "1",
    }
    assert [str(made) for made in (tmp_path / "c").iterdir()] == [folder]


def test_only_the_types_in_the_file_set_the_builders_flags(tmp_path):
    def flags(*nodes: onnx.NodeProto, constants: dict[str, np.ndarray]) -> tuple[dict[str, str], tuple[str, ...]]:
        image = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, "H", "W"])
        output = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3, "H", "W"])
        stored = [numpy_helper.from_array(array, name) for name, array in constants.items()]
        graph = helper.make_graph(list(nodes), "g", [image], [output], stored)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "m.onnx")
        texts, notes = provider_option_texts("tensorrt", tmp_path / "m.onnx", ProviderOptions())
        return {name: text for name, text in texts.items() if name != "device_id"}, notes

    scale = {"s": np.array(1, np.float32), "z": np.array(0, np.int8)}
    pair = (
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    )
    assert flags(helper.make_node("Relu", ["x"], ["y"]), constants={}) == ({}, ())
    assert flags(*pair, constants=scale) == ({"trt_int8_enable": "1"}, ())
    half = (
        helper.make_node("Cast", ["x"], ["h"], to=TensorProto.FLOAT16),
        helper.make_node("Cast", ["h"], ["y"], to=TensorProto.FLOAT),
    )
    texts, notes = flags(*half, constants={})
    assert texts == {"trt_fp16_enable": "1"}
    assert "may compute any node in FP16" in notes[0]


def test_other_weights_under_the_same_name_get_another_cache_folder(tmp_path):
    def folder(weight: float, profiles: tuple[Profile, ...] = (), external: bool = False) -> str:
        model = onnx.load(write_graph(tmp_path / "m.onnx"))
        model.graph.initializer[2].CopyFrom(numpy_helper.from_array(np.full(400, weight, np.float32), "one"))
        onnx.save(model, tmp_path / "m.onnx", save_as_external_data=external, location="weights.bin")
        asked = ProviderOptions(profiles=profiles, cache=tmp_path / "c")
        return provider_option_texts("tensorrt", tmp_path / "m.onnx", asked)[0]["trt_engine_cache_path"]

    assert folder(1) == folder(1)
    assert len({folder(1), folder(2), folder(1, (SMALL,)), folder(1, (LARGE,))}) == 4
    (tmp_path / "weights.bin").unlink(missing_ok=True)
    first = folder(1, external=True)
    (tmp_path / "weights.bin").unlink()
    assert folder(2, external=True) != first
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(GraphError, match=r"weights\.bin"):
        provider_option_texts("tensorrt", tmp_path / "m.onnx", ProviderOptions(cache=tmp_path / "c"))


def test_a_cache_path_that_is_a_file_is_refused_in_one_line(tmp_path):
    (tmp_path / "c").write_text("")
    with pytest.raises(OutputError, match=r"the cache folder .* cannot be made"):
        provider_option_texts("tensorrt", write_graph(tmp_path / "m.onnx"), ProviderOptions(cache=tmp_path / "c"))


@pytest.mark.parametrize(
    ("provider", "asked", "message"),
    [
        ("cpu", ProviderOptions(device_id=1), "cpu provider takes no device_id; cuda, tensorrt, nvtensorrtrtx do"),
        ("cpu", ProviderOptions(profiles=(SMALL,)), "cpu provider takes no profiles; tensorrt, nvtensorrtrtx do"),
        ("cuda", ProviderOptions(profiles=(SMALL,)), "cuda provider takes no profiles"),
        ("openvino", ProviderOptions(device_id=1), "openvino provider takes no device_id"),
        ("tensorrt", ProviderOptions(profiles=(SMALL, LARGE)), "tensorrt provider runs one profile and 2 are given"),
        ("cuda", ProviderOptions(device_id=-1), "device_id -1 is no GPU"),
    ],
)
def test_nothing_asked_for_is_dropped_silently(tmp_path, provider, asked, message):
    with pytest.raises(RunnerError, match=message):
        provider_option_texts(provider, write_graph(tmp_path / "m.onnx"), asked)


def test_pytorch_has_no_providers():
    with pytest.raises(RunnerError, match="pytorch:cpu has no providers"):
        open_runner("pytorch:cpu", "demo", provider=ProviderOptions(device_id=1))


class Elsewhere:
    """A session that says it runs on another provider; everything else is the CPU's."""

    def __init__(self, session: Any, provider: str) -> None:
        self._session, self._provider = session, provider
        self.run_entries: list[str | None] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._session, name)
        return self._assignment if name == "get_provider_graph_assignment_info" else found  # onnxruntime >= 1.24

    def _assignment(self) -> list[Any]:
        parts = self._session.get_provider_graph_assignment_info()
        return [type("Part", (), {"ep_name": self._provider, "get_nodes": part.get_nodes}) for part in parts]

    def get_providers(self) -> list[str]:
        return [self._provider]

    def run_with_iobinding(self, binding: Any, options: Any = None) -> None:
        self.run_entries.append(options and options.get_run_config_entry("nv_profile_index"))
        self._session.run_with_iobinding(binding, options)


def plugin(monkeypatch: pytest.MonkeyPatch, opened: list[Elsewhere], devices: int = 1) -> list[dict[str, str]]:
    """TensorRT for RTX's plugin as onnxruntime sees it, computing on the CPU; returns the options it is given."""
    name, given = "NvTensorRTRTXExecutionProvider", list[dict[str, str]]()
    module = ModuleType(ort_plugin.PLUGIN)
    module.get_ep_name, module.get_library_path = lambda: name, lambda: "plugin.so"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, ort_plugin.PLUGIN, module)
    offered = [type("Device", (), {"ep_name": name}) for _ in range(devices)]
    monkeypatch.setattr(onnxruntime, "register_execution_provider_library", lambda *_: None)
    monkeypatch.setattr(onnxruntime, "get_ep_devices", lambda: offered)

    class Options(onnxruntime.SessionOptions):
        def add_provider_for_devices(self, devices: list[Any], texts: dict[str, str]) -> None:
            given.append(texts)

    session = onnxruntime.InferenceSession

    def create(path: str, options: Any, providers: Any = None, **_: Any) -> Elsewhere:
        opened.append(Elsewhere(session(path, options, providers=["CPUExecutionProvider"]), name))
        return opened[-1]

    monkeypatch.setattr(onnxruntime, "SessionOptions", Options)
    monkeypatch.setattr(onnxruntime, "InferenceSession", create)
    return given


def test_the_plugin_runs_each_shape_under_the_profile_that_holds_it(tmp_path, monkeypatch):
    opened: list[Elsewhere] = []
    given = plugin(monkeypatch, opened)
    path = write_graph(tmp_path / "m.onnx")
    asked = ProviderOptions(profiles=(SMALL, LARGE))
    with open_runner("onnxruntime:nvtensorrtrtx", str(path), provider=asked) as runner:
        assert "device_id" not in given[0]  # the plugin takes the device itself
        assert given[0]["nv_multi_profile_enable"] == "1"
        assert "timed with the run" in " ".join(runner.notes)
        for shape in ((2, 33, 49), (1, 300, 300), (3, 128, 192)):
            image = np.zeros((*shape, 3), np.uint8)
            assert runner.infer({"image": image})["labels"].shape == shape
        assert opened[0].run_entries == ["0", "1", "0"]
        with pytest.raises(
            ShapeError, match=r"2x300x300 lies in none of the profiles: 1x33x47 .. 2x64x96 .. 3x128x192"
        ):
            runner.infer({"image": np.zeros((2, 300, 300, 3), np.uint8)})


def test_a_gpu_that_the_plugin_does_not_offer_is_refused(tmp_path, monkeypatch):
    plugin(monkeypatch, [], devices=1)
    with pytest.raises(RunnerError, match="offers 1 GPUs and device_id is 1"):
        open_runner(
            "onnxruntime:nvtensorrtrtx",
            str(write_graph(tmp_path / "m.onnx")),
            provider=ProviderOptions(device_id=1),
        )


def test_a_plugin_that_does_not_load_says_which_library_is_missing(tmp_path, monkeypatch):
    plugin(monkeypatch, [])

    def fail(*_: str) -> None:
        raise RuntimeError("[ONNXRuntimeError] : 1 : FAIL : Failed to load library p.so with error: libcuda.so.1: no")

    monkeypatch.setattr(onnxruntime, "register_execution_provider_library", fail)
    with pytest.raises(RunnerError, match=r"^NvTensorRTRTXExecutionProvider did not start: libcuda\.so\.1: no$"):
        open_runner("onnxruntime:nvtensorrtrtx", str(write_graph(tmp_path / "m.onnx")))


def test_without_the_plugin_the_message_names_the_package(tmp_path):
    if "NvTensorRTRTXExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has the provider built in")
    if ort_plugin.find_plugin() is not None:
        pytest.skip("the plugin is installed")
    with pytest.raises(RunnerError, match="try: pip install onnxruntime-ep-nv-tensorrt-rtx"):
        open_runner("onnxruntime:nvtensorrtrtx", str(write_graph(tmp_path / "m.onnx")))
