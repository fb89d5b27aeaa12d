"""Every architecture in every precision: valid ONNX, and built by the real library in the types that the file promises.

The builder needs no GPU. Each engine has the uint8 contract, dynamic N, H and W, and odd sizes in its profiles.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from PIL import Image

from fcn_deploy.audit.audit import audit
from fcn_deploy.data.options import DataOptions
from fcn_deploy.engine.builder.options import BuildOptions
from fcn_deploy.engine.sidecar import SidecarPort, read_sidecar
from fcn_deploy.engine_build.build_engine import build_engine
from fcn_deploy.errors import EngineError
from fcn_deploy.graph.load import read_card
from fcn_deploy.quantization.quantize import quantize
from fcn_deploy.system.files import sha256
from fcn_deploy.vocabulary import OUTPUTS, Profile
from tests.support.contract_graphs import CARD, small_graph

pytest.importorskip("tensorrt_rtx", reason="tensorrt_rtx is not installed")

PROFILES = (Profile((1, 1, 1), (2, 33, 47), (3, 101, 157)), Profile((1, 64, 96), (1, 64, 96), (4, 64, 96)))
QUICK = (("fcn8s", "fc"),)
SLOW = (
    ("fcn-resnet50", ""),
    ("fcn32s", "fc"),
    ("fcn32s", "pool5"),
    ("fcn16s", "fc"),
    ("fcn16s", "pool5"),
    ("fcn8s", "pool5"),
    ("fcn8s-caffe", ""),
)
NETWORKS = [*QUICK, *(pytest.param(pair, marks=pytest.mark.long) for pair in SLOW)]
# What the arithmetic is in, by precision; score and first layers, and ConvTranspose, stay in float.
PROMISED = {"fp32": {"FP32"}, "fp16": {"FP16"}, "int8": {"INT8", "FP32"}, "int8+fp16": {"INT8", "FP16"}}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> DataOptions:
    folder = tmp_path_factory.mktemp("photographs")
    generator = np.random.default_rng(0)
    for index in range(2):
        Image.fromarray(generator.integers(0, 256, (45, 61, 3), np.uint8)).save(folder / f"{index}.png")
    return DataOptions(str(folder))


@pytest.fixture(scope="module", params=NETWORKS, ids=lambda pair: "-".join(filter(None, pair)))
def network(request, tiny_onnx) -> Path:
    """An exported network of a twentieth of the published width."""
    name, head = request.param
    return tiny_onnx(name, **({"head": head} if head else {}))


@pytest.mark.parametrize("precision", PROMISED)
def test_each_layer_is_built_in_the_type_that_the_file_promises(network, precision, photographs, tmp_path):
    source = network
    if precision != "fp32":
        source = tmp_path / f"{network.stem}.{precision}.onnx"
        quantize(network, source, precision=precision, calibration=photographs)
    onnx.checker.check_model(str(source), full_check=True)
    target = tmp_path / "net.engine"
    report = build_engine(source, target, profiles=PROFILES)
    sidecar = read_sidecar(target)
    assert sidecar == report.sidecar
    assert (sidecar.plan_sha256, sidecar.onnx_sha256) == (sha256(target), sha256(source))
    assert sidecar.inputs == (SidecarPort("image", "uint8", (-1, -1, -1, 3)),)
    assert sidecar.outputs == (SidecarPort("labels", "uint8", (-1, -1, -1)),)
    assert (sidecar.precision, sidecar.profiles) == (precision, PROFILES)
    assert all(count > 0 for count in sidecar.activation_bytes)
    rows = audit(source, batch=2, height=33, width=47).rows
    assert {row.precision for row in rows} == PROMISED[precision]
    assert sidecar.shares.disagreements == ()
    assert sidecar.shares.built == sidecar.shares.promised
    _assert_every_row_is_listed_for_both_profiles(rows, sidecar)


def _assert_every_row_is_listed_for_both_profiles(rows, sidecar):
    """Beyond the module's own comparison: by the nodes in the list alone, each type is among its layers'."""
    for row in rows:
        for profile in (0, 1):
            types = {
                layer.precision for layer in sidecar.layers if layer.profile == profile and row.name in layer.nodes
            }
            assert row.precision in types, (row.name, profile, types)


def test_the_command_s_own_rewrite_is_that_of_quantize(photographs, tiny_onnx, tmp_path):
    source, target = tiny_onnx("fcn32s", head="fc"), tmp_path / "net.engine"
    asked = {"precision": "int8+fp16", "calibration": photographs, "keep": ["backbone.stage2.*"]}
    sidecar = build_engine(source, target, profiles=PROFILES, **asked).sidecar
    quantize(source, tmp_path / "q.onnx", **asked)
    promised = audit(tmp_path / "q.onnx", batch=2, height=33, width=47).totals
    assert sidecar.shares.built == promised
    assert (sidecar.precision, sidecar.onnx_name, sidecar.onnx_sha256) == ("int8+fp16", source.name, sha256(source))
    assert sidecar.card.classes == read_card(source).classes
    assert sidecar.key["calibration"]["count"] == 2


@pytest.mark.parametrize("size", ["0.5", "longest:64"])
def test_a_network_size_and_confidence_are_built_for_dynamic_sides(size, tmp_path):
    ir.save(small_graph(replace(CARD, network_size=size), outputs=OUTPUTS), tmp_path / "small.onnx")
    report = build_engine(tmp_path / "small.onnx", tmp_path / "small.engine", profiles=PROFILES)
    assert [(port.name, port.dtype) for port in report.sidecar.outputs] == [
        ("labels", "uint8"), ("confidence", "uint8"), ("logits", "float32"),
    ]  # fmt: skip
    assert report.sidecar.card.network_size == size


@pytest.mark.parametrize("precision", [pytest.param("bf16", marks=pytest.mark.long), "fp8"])
def test_fp8_and_bf16_are_built_for_ada_and_blackwell_and_refused_below(precision, photographs, tiny_onnx, tmp_path):
    source, target = tiny_onnx("fcn8s", head="pool5"), tmp_path / "net.engine"
    asked = {"precision": precision, "calibration": photographs, "profiles": PROFILES[:1]}
    sidecar = build_engine(source, target, **asked, options=BuildOptions(sm=("SM89", "SM120"))).sidecar
    assert (sidecar.precision, sidecar.built_for.sm) == (precision, ("SM89", "SM120"))
    assert sidecar.shares.disagreements == ()
    assert set(sidecar.shares.built) == ({"BF16", "FP32"} if precision == "bf16" else {"FP8", "FP32"})
    with pytest.raises(EngineError, match=r"SM75 has no (BF16|FP8): GPUs have it from"):
        build_engine(source, tmp_path / "old.engine", **asked, options=BuildOptions(sm=("SM75",)))
    assert not (tmp_path / "old.engine").exists()
