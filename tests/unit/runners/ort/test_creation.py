"""What a CPU's session says of the types of its file."""

from __future__ import annotations

import pytest

from fcn_deploy.quantization.quantize import quantize
from fcn_deploy.runners.ort import creation
from fcn_deploy.runners.registry import open_runner
from fcn_deploy.system.environment import cpu_flags
from tests.support.planted_channel import label_scenes
from tests.support.small_fcn import write_fcn


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("types")
    fp32 = write_fcn(folder / "fp32.onnx")
    label_scenes(folder, fp32, 2)
    quantize(fp32, folder / "int8.onnx", precision="int8", target="cpu", calibration=str(folder / "photos"))
    return folder


@pytest.mark.parametrize(
    ("flags", "name", "noted"),
    [
        ({"avx2"}, "int8.onnx", True),
        ({"avx2"}, "fp32.onnx", False),
        ({"avx2", "avx512_vnni"}, "int8.onnx", False),
        ({"avx2", "avx_vnni"}, "int8.onnx", False),
        (set(), "int8.onnx", False),  # another processor, or a system that lists no flags
    ],
)
def test_sums_of_16_bits_are_noted_where_8_bits_are_multiplied_without_vnni(monkeypatch, files, flags, name, noted):
    monkeypatch.setattr(creation, "cpu_flags", lambda: frozenset(flags))
    with open_runner("onnxruntime", str(files / name)) as runner:
        assert (creation.OVERFLOW_NOTE in runner.notes) is noted


def test_flags_are_those_of_the_first_processor(tmp_path):
    (tmp_path / "cpuinfo").write_text("model name : x\nflags\t\t: fpu avx2 avx_vnni\n\nflags : fpu\n")
    assert cpu_flags(tmp_path / "cpuinfo") == {"fpu", "avx2", "avx_vnni"}
    assert cpu_flags(tmp_path / "none") == frozenset()
