"""The sidecar comes back as it went, says what is wrong with it, and tells whether its engine is up to date."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest

from fcn_deploy.engine.sidecar import (
    BuiltFor,
    EngineLayer,
    PrecisionShares,
    Sidecar,
    SidecarPort,
    differences,
    matches_plan,
    read_plan,
    read_sidecar,
    reasons_to_build,
    sidecar_path,
)
from fcn_deploy.errors import EngineError
from fcn_deploy.inspection.inspect import inspect
from fcn_deploy.vocabulary import Profile
from tests.support.small_fcn import CARD

PLAN = b"ftrt a plan"
SIDECAR = Sidecar(
    flavor="tensorrt_rtx",
    version="1.7.1.116",
    platform="linux x86_64",
    built_for=BuiltFor(("SM86", "SM89"), "a GPU", "12.8"),
    plan_sha256=hashlib.sha256(PLAN).hexdigest(),
    plan_bytes=len(PLAN),
    onnx_name="m.onnx",
    onnx_sha256="0" * 64,
    precision="int8+fp16",
    inputs=(SidecarPort("image", "uint8", (-1, -1, -1, 3)),),
    outputs=(SidecarPort("labels", "uint8", (-1, -1, -1)),),
    profiles=(Profile((1, 33, 47), (2, 33, 47), (3, 101, 157)),),
    activation_bytes=(1234,),
    card=CARD,
    layers=(EngineLayer("conv1_myl0_2", "correlation", "INT8", ("conv1", "relu1")),),
    shares=PrecisionShares(
        (2, 33, 47), {"INT8": 9, "FP16": 1}, {"INT8": 10}, ("a: FP16 in the file, INT8 in the engine",)
    ),
    options={"sm": ["SM86", "SM89"]},
    key={"model": "0" * 64, "profiles": ["1x33x47 .. 2x33x47 .. 3x101x157"], "precision": "fp16"},
    seconds=1.5,
    peak_bytes=10**9,
)


def _write(folder, sidecar=SIDECAR, plan=PLAN, **changes):
    engine = folder / "m.engine"
    engine.write_bytes(plan)
    sidecar_path(engine).write_text(json.dumps(json.loads(sidecar.to_json()) | changes))
    return engine


def test_everything_comes_back_as_it_went(tmp_path):
    assert read_sidecar(_write(tmp_path)) == SIDECAR
    assert sidecar_path(tmp_path / "m.engine").name == "m.engine.json"
    bare = replace(SIDECAR, card=None, shares=None, layers=(), activation_bytes=(None,), peak_bytes=None)
    assert read_sidecar(_write(tmp_path, bare)) == bare


def test_fields_of_a_later_version_are_ignored(tmp_path):
    assert read_sidecar(_write(tmp_path, mood="good")) == SIDECAR


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": True}, "not of kind engine, schema 1"),
        ({"schema": 2}, "not of kind engine, schema 1"),
        ({"plan_bytes": "many"}, "plan_bytes is 'many'; expected an integer"),
        (
            {"profiles": [{"min": [1, 2], "opt": [1, 2, 3], "max": [1, 2, 3]}]},
            r"profiles\[0\]\.min is \[1, 2\]; expected a list of 3",
        ),
        ({"inputs": {}}, "inputs is {}; expected a list"),
        ({"built_for": {"gpu": None}}, "built_for: missing sm"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(tmp_path, change, said):
    with pytest.raises(EngineError, match=said):
        read_sidecar(_write(tmp_path, **change))


def test_a_missing_or_broken_file_is_one_error(tmp_path):
    with pytest.raises(EngineError, match=r"m\.engine\.json is missing: .*copy it along with the engine"):
        read_sidecar(tmp_path / "m.engine")
    for content in (b"", b"{", b"[1]", b"\xff\xfe", b"<html>"):
        sidecar_path(tmp_path / "m.engine").write_bytes(content)
        with pytest.raises(EngineError, match="cannot be read as the description of an engine"):
            read_sidecar(tmp_path / "m.engine")


def test_an_engine_of_the_same_key_is_up_to_date(tmp_path):
    engine = _write(tmp_path)
    assert matches_plan(SIDECAR, engine)
    assert reasons_to_build(engine, dict(SIDECAR.key)) == ()


def test_each_reason_to_build_again_is_reported(tmp_path):
    engine = tmp_path / "m.engine"
    assert reasons_to_build(engine, SIDECAR.key) == ("there is no m.engine yet",)
    _write(tmp_path)
    assert reasons_to_build(engine, {**SIDECAR.key, "precision": "int8"}) == ("precision was fp16, now int8",)
    engine.write_bytes(PLAN[:-1] + b"!")
    assert reasons_to_build(engine, SIDECAR.key) == ("m.engine is not the plan that its sidecar speaks of",)
    sidecar_path(engine).write_text("{")
    assert "cannot be read as the description of an engine" in reasons_to_build(engine, SIDECAR.key)[0]
    sidecar_path(engine).unlink()
    assert reasons_to_build(engine, SIDECAR.key) == ("m.engine has no m.engine.json next to it",)


def test_differences_name_both_values_and_shorten_hashes():
    before, now = {"model": "a" * 64, "options": {}, "old": "x"}, {"model": "b" * 64, "options": {"tf32": False}}
    assert differences(before, now) == (
        "model was aaaaaaaaaaaa..., now bbbbbbbbbbbb...",
        'options was none, now {"tf32": false}',
        "old was x, now none",
    )


def test_portable_is_explained_and_named_architectures_are_listed():
    assert BuiltFor(("portable",)).targets() == "portable (compute capability 8.0, 8.6, 8.9, 12.0 and later, not 9.0)"
    assert BuiltFor(("SM86", "SM89")).targets() == "SM86, SM89"


def test_layers_built_in_another_type_are_counted_by_kind():
    lines = [f"conv{index}: INT8 in the file, FP32 in the engine" for index in range(5)]
    shares = PrecisionShares((1, 33, 47), {}, {}, (*lines, "fc: FP16 in the file, FP32 in the engine"))
    assert shares.kinds() == [
        "5 layers: INT8 in the file, FP32 in the engine (conv0, conv1, conv2 and 2 more)",
        "1 layer: FP16 in the file, FP32 in the engine (fc)",
    ]
    assert PrecisionShares((1, 33, 47), {}, {}).kinds() == []


def test_no_module_that_a_sidecar_names_is_imported(tmp_path):
    engine = _write(tmp_path, flavor="this.module")
    with pytest.raises(EngineError, match=r"flavor is 'this\.module'; expected tensorrt_rtx or tensorrt"):
        read_sidecar(engine)


def test_a_plan_of_another_library_than_its_sidecar_names_is_refused(tmp_path):
    plan = b"ftrt" + bytes(40)
    engine = _write(tmp_path, plan=plan, plan_sha256=hashlib.sha256(plan).hexdigest(), plan_bytes=len(plan))
    with pytest.raises(EngineError, match="its sidecar names tensorrt_rtx, and it is a plan of tensorrt; copy both"):
        read_plan(engine)
    assert any("its sidecar names tensorrt_rtx" in fault for fault in inspect(engine).faults)
