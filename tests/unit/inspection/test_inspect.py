"""What `inspect` tells of ONNX files, plans and sidecars made by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from fcn_deploy.doctor.probe_model import build_tiny, write_tiny
from fcn_deploy.engine.flavors import PlanHeader, open_flavor, read_header
from fcn_deploy.engine.sidecar import BuiltFor, EngineLayer, PrecisionShares, Sidecar, sidecar_path
from fcn_deploy.engine.sidecar import SidecarPort as SidecarPort
from fcn_deploy.errors import CheckpointError, EngineError, GraphError, MissingDependencyError
from fcn_deploy.inspection import engine as inspect_engine_module
from fcn_deploy.inspection.inspect import inspect
from fcn_deploy.inspection.text import layer_table, lines
from fcn_deploy.system.files import sha256
from fcn_deploy.vocabulary import Profile
from tests.support.onnx_files import CARD, write_graph
from tests.support.recorded_progress import RecordedProgress
from tests.support.reference_nets import caffe_state
from tests.support.small_fcn import write_fcn

VERSION = (1, 7, 1, 116)


def write_plan(path: Path, *, tag: bytes = b"vtrt", size: int = 3000, version: tuple[int, ...] = VERSION) -> Path:
    """A plan as far as its first bytes go."""
    head = tag + bytes(12) + size.to_bytes(8, "little") + bytes(version)
    path.write_bytes(head + bytes(size - len(head)))
    return path


def write_sidecar(plan: Path, **changes: object) -> Sidecar:
    """The sidecar of a plan: two profiles, uint8 labels and float32 logits of three classes."""
    sidecar = Sidecar(
        flavor="tensorrt_rtx",
        version=".".join(map(str, VERSION)),
        platform="linux x86_64",
        built_for=BuiltFor(("SM86", "SM120")),
        plan_sha256=sha256(plan),
        plan_bytes=plan.stat().st_size,
        onnx_name="m.onnx",
        onnx_sha256="0" * 64,
        precision="int8",
        inputs=(SidecarPort("image", "uint8", (-1, -1, -1, 3)),),
        outputs=(SidecarPort("labels", "uint8", (-1, -1, -1)), SidecarPort("logits", "float32", (-1, 3, -1, -1))),
        profiles=(Profile((1, 33, 47), (1, 33, 47), (2, 50, 70)), Profile((1, 1, 1), (1, 1, 1), (1, 10, 10))),
        activation_bytes=(5_000_000, None),
        card=CARD,
        layers=(
            EngineLayer("a_myl0", "correlation", "INT8", ("conv1", "relu1")),
            EngineLayer("b", "kgen", "", ("argmax",)),
        ),
        shares=PrecisionShares((1, 33, 47), {"INT8": 900, "FP32": 100}, {"INT8": 900, "FP32": 100}),
        seconds=1.25,
    )
    sidecar = replace(sidecar, **changes)  # type: ignore[arg-type]
    sidecar_path(plan).write_text(sidecar.to_json())
    return sidecar


def rows(source: Path) -> dict[str, str]:
    """The report's lines by their names; a name that comes again has its lines joined."""
    found: dict[str, str] = {}
    for line in lines(inspect(str(source))):
        name, _, text = line.partition(": " if line.startswith(("fault", "note")) else "  ")
        found[name] = "; ".join(filter(None, [found.get(name, ""), text.strip()]))
    return found


def test_an_onnx_file_shows_ports_contract_card_weights_and_precision(tmp_path):
    reported = rows(write_fcn(tmp_path / "fcn.onnx"))
    assert reported["input"] == "image uint8[N, H, W, 3]"
    assert reported["output"].startswith("labels uint8[N, H, W]")
    assert reported["contract"] == "uint8 RGB image in, labels out"
    assert reported["precision"].startswith("FP32 100.0 % of ")
    assert reported["sha256"] == sha256(tmp_path / "fcn.onnx")


def test_weights_are_counted_by_type_and_their_file_is_named(tmp_path):
    model = onnx.load(write_graph(tmp_path / "m.onnx"))
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((7, 11), np.float16), "half"))
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=100)
    reported = rows(tmp_path / "m.onnx")
    # mean 3, std 3 and one 1 in float32, 77 in float16
    assert reported["weights"] == "84 numbers, 154 bytes float16, 28 bytes float32, in w.bin"
    assert reported["precision"].startswith("unknown: holds none of Conv")


def test_what_the_host_does_for_a_float_file_is_in_the_contract(tmp_path):
    path = write_graph(tmp_path / "m.onnx", image="float", outputs=("logits",))
    assert rows(path)["contract"] == (
        "uint8 RGB image in, labels out; a runner normalises the image on the host (in upload) and takes the arg max "
        "of the logits on the host (in download)"
    )


def test_an_engine_with_its_sidecar_shows_all_of_it(tmp_path, monkeypatch):
    monkeypatch.setattr(inspect_engine_module, "_other_release", lambda *_: "")
    plan = write_plan(tmp_path / "m.engine")
    write_sidecar(plan)
    reported = rows(plan)
    assert reported["built with"] == "tensorrt_rtx 1.7.1.116 on linux x86_64 in 1.2 s"
    assert reported["built for"] == "SM86, SM120, by a machine without a GPU"
    assert reported["contract"] == "uint8 RGB image in, labels out"
    # 2 x 50 x 70 pixels of 3 + 1 + 3 * 4 bytes; 10 x 10 of the same
    assert reported["profile"] == (
        "1x33x47 .. 1x33x47 .. 2x50x70; 5.0 MB of activations for each context; "
        "0.1 MB for each set of input and output at the largest; "
        "1x1x1 .. 1x1x1 .. 1x10x10; 1,600 bytes for each set of input and output at the largest"
    )
    assert reported["precision"] == "int8; built as INT8 90.0 %, FP32 10.0 % of 1 kMAC at 33x47"
    assert reported["layers"] == "2 of 3 ONNX nodes; by the type of what they read: INT8 1, no type 1"
    assert "fault" not in reported
    assert "promised" not in reported
    assert rows(sidecar_path(plan)) == reported  # the JSON's name means the engine next to it
    table = layer_table(inspect(str(plan)))
    assert table is not None
    assert table.row_count == 2
    plain = json.loads(json.dumps(inspect(str(plan)).to_plain()))
    assert plain["found"]["sidecar"]["profiles"][0]["max"] == [2, 50, 70]


def test_what_was_built_in_another_type_is_next_to_what_was_promised(tmp_path):
    plan = write_plan(tmp_path / "m.engine")
    line = "score: INT8 in the file, FP32 in the engine"
    write_sidecar(plan, shares=PrecisionShares((1, 33, 47), {"INT8": 1000}, {"INT8": 900, "FP32": 100}, (line,)))
    reported = rows(plan)
    assert reported["promised"] == "INT8 100.0 % of 1 kMAC at 33x47"
    assert reported["note"].endswith("1 layer: INT8 in the file, FP32 in the engine (score)")


def test_without_a_sidecar_the_header_shows_library_and_release(tmp_path):
    for tag, name in ((b"vtrt", "tensorrt_rtx"), (b"ftrt", "tensorrt")):
        reported = rows(write_plan(tmp_path / "m.engine", tag=tag, version=(10, 3, 0, 26)))
        assert reported["built with"] == f"{name} 10.3.0.26"
        assert "m.engine.json, which holds ports, profiles and precision, is not next to it" in reported["note"]
    assert inspect(str(write_plan(tmp_path / "without_suffix"))).kind == "engine"


def test_the_header_of_a_real_plan_shows_its_release_and_length(tmp_path):
    try:
        flavor = open_flavor("rtx")
    except MissingDependencyError as error:
        pytest.skip(str(error))
    plan = build_tiny(flavor, write_tiny(tmp_path / "tiny.onnx"))
    (tmp_path / "tiny.engine").write_bytes(plan)
    assert read_header(tmp_path / "tiny.engine") == PlanHeader("tensorrt_rtx", flavor.version, len(plan))
    (tmp_path / "tiny.engine").write_bytes(plan[:-1])
    assert "truncated" in inspect(str(tmp_path / "tiny.engine")).faults[0]


def test_a_library_of_another_release_is_a_remark(tmp_path, monkeypatch):
    monkeypatch.setattr(inspect_engine_module.importlib.util, "find_spec", lambda _: object())
    monkeypatch.setattr(inspect_engine_module, "package_versions", lambda _: {"tensorrt-cu13": "11.4.0"})
    plan = write_plan(tmp_path / "m.engine", tag=b"ftrt", version=(10, 3, 0, 26))
    assert "tensorrt 10.3.0.26 built it, here is 11.4.0: a plan runs with its own release" in rows(plan)["note"]


def test_a_truncated_plan_is_a_fault_with_and_without_its_sidecar(tmp_path):
    plan = write_plan(tmp_path / "m.engine", size=3000)
    write_sidecar(plan)
    plan.write_bytes(plan.read_bytes()[:2000])
    assert inspect(str(plan)).faults == ("it is truncated: 2,000 of 3,000 bytes; copy or build it again",)
    sidecar_path(plan).unlink()
    assert inspect(str(plan)).faults == ("it is truncated: 2,000 of 3,000 bytes; copy or build it again",)
    tensorrt = write_plan(tmp_path / "t.engine", tag=b"ftrt")  # its header does not tell its length
    write_sidecar(tensorrt)
    tensorrt.write_bytes(tensorrt.read_bytes()[:2000])
    assert "truncated" in inspect(str(tensorrt)).faults[0]


def test_the_sidecar_of_another_engine_is_a_fault_and_shows_nothing_of_this_one(tmp_path):
    plan = write_plan(tmp_path / "m.engine")
    write_sidecar(plan, plan_sha256="ab" * 32)
    inspection = inspect(str(plan))
    assert inspection.faults[0].startswith("m.engine.json describes another engine, of SHA-256 abababababab...")
    assert "profile" not in rows(plan)
    sidecar_path(plan).write_text('{"kind"')
    assert "cannot be read as the description of an engine" in inspect(str(plan)).faults[0]


def test_a_sidecar_alone_is_read_and_says_that_its_engine_is_elsewhere(tmp_path):
    plan = write_plan(tmp_path / "m.engine")
    write_sidecar(plan)
    plan.unlink()
    reported = rows(sidecar_path(plan))
    assert reported["precision"].startswith("int8; built as")
    assert "its engine, m.engine, is not next to it" in reported["note"]


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("m.engine", b"", EngineError, "m.engine is empty"),
        ("m.engine", b"vtrt" + bytes(8), EngineError, "m.engine is truncated: it has 12 bytes"),
        ("m.engine", b"<html>" * 9, EngineError, r"is no engine: it starts with b'<html><h'"),
        ("m.plan", bytes(99), EngineError, "is no engine"),
        ("m.json", b'{"kind": "run"}', EngineError, "not of kind engine, schema 1"),
        ("m.onnx", b"", GraphError, "is not an ONNX model"),
        ("m.onnx", b"<html>" * 9, GraphError, "cannot be read as ONNX"),
        ("m.bin", b"\xff" * 99, CheckpointError, r"is no checkpoint: it starts with b'\\xff"),
    ],
)
def test_junk_is_one_line(tmp_path, name, content, error, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=message) as caught:
        inspect(str(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_distinguished(tmp_path):
    with pytest.raises(EngineError, match=r"x\.engine does not exist; expected an .onnx file, an engine"):
        inspect(str(tmp_path / "x.engine"))
    with pytest.raises(CheckpointError, match="is a folder"):
        inspect(str(tmp_path))


def test_the_demo_checkpoint_shows_its_model_and_parameters():
    reported = {line.split("  ")[0]: line for line in lines(inspect("demo"))}
    assert "941,800 in 35 tensors" in reported["parameters"]
    assert "fcn8s, width 0.25, head pool5" in reported["model"]


def test_what_is_chosen_in_a_checkpoint_is_reported(tmp_path: Path):
    state = {f"module.{key}": value for key, value in caffe_state("fcn32s-caffe", 3).items()}
    torch.save({"state_dict": state}, path := tmp_path / "model_best.pth.tar")
    recorded = RecordedProgress()
    assert inspect(path, progress=recorded).kind == "checkpoint"
    assert recorded.lines == [f"{path}: took module. off the names of its tensors"]
