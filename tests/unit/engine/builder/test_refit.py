"""Weights of an engine exchanged over doubles of every release's real API."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fcn_deploy.engine.builder.compile import compile_plan
from fcn_deploy.engine.builder.refit import check_refit
from fcn_deploy.engine.sidecar import read_sidecar
from fcn_deploy.errors import EngineError
from tests.api.bindings import RELEASES
from tests.support.tensorrt_api import builds, job, write_engine

NEW = RELEASES[-1]
refitting = pytest.mark.parametrize(
    "release", [release for release in RELEASES if release.version != "8.6.1"], ids=lambda release: release.title
)


def refit_job(folder, release):
    old = write_engine(folder / "old.engine", release, {"refit": True})
    return replace(job(folder, refit=True), refit_from=old)


@refitting
def test_the_plan_has_the_new_weights_and_what_was_known_of_the_old_one(release, tmp_path):
    flavor, building = builds(release)
    wanted, phases = refit_job(tmp_path, release), []
    compiled = compile_plan(flavor, wanted, lambda name, steps: phases.append(name))
    flags = ["INCLUDE_REFIT"] if hasattr(flavor.module.SerializationFlag, "INCLUDE_REFIT") else []
    assert wanted.plan.read_bytes() == b"an engine with other weights" + repr(flags).encode()
    assert building.refitted == [str(wanted.onnx)]
    assert (building.configs, phases) == ([], [])  # nothing was built
    assert [layer.name for layer in compiled.layers] == ["fc6"]
    assert compiled.activation_bytes == (1000,)
    assert compiled.inputs[0].name == "image"


def refusal(folder, release, **refits):
    flavor, building = builds(release)
    building.refits |= refits
    with pytest.raises(EngineError) as caught:
        compile_plan(flavor, refit_job(folder, release))
    assert not (folder / "net.engine").exists()
    return str(caught.value)


@refitting
def test_each_reason_against_a_refit_is_one_line(release, tmp_path):
    assert "cannot load it: Error Code 1: Serialization; build it" in refusal(tmp_path, release, loads=False)
    assert "old.engine is not refittable according to " in refusal(tmp_path, release, refittable=False)
    lacking = refusal(tmp_path, release, missing=["fc6.weight", "fc7.weight"])
    assert lacking == "net.onnx lacks 2 weights of old.engine, first fc6.weight; build it, without --refit-from"
    assert "does not take the weights of net.onnx: no reason is given" in refusal(tmp_path, release, takes=False)


def test_a_file_that_does_not_fit_is_reported_in_the_librarys_words(tmp_path, monkeypatch):
    flavor, building = builds(NEW)
    refit = building.OnnxParserRefitter

    def refusing(refitter, logger):
        building.errors = [{"desc": "Weights fc6.weight have another shape"}]
        return refit(refitter, logger)

    monkeypatch.setattr(building, "OnnxParserRefitter", refusing)
    with pytest.raises(EngineError, match=r"^net\.onnx does not fit old\.engine: Weights fc6\.weight have another"):
        compile_plan(flavor, refit_job(tmp_path, NEW))


def test_tensorrt_8_6_has_nothing_for_it(tmp_path):
    release = next(release for release in RELEASES if release.version == "8.6.1")
    assert refusal(tmp_path, release).startswith("TensorRT 8.6.1 exchanges no weights by an ONNX file; build it")


def test_only_weights_may_differ(tmp_path):
    key = {"model": "a", "profiles": ["1x1x1"], "precision": "fp16", "options": {"refit": True}}
    path = write_engine(tmp_path / "old.engine", NEW, {"refit": True}, key)
    old = read_sidecar(path)
    check_refit(path, old, key | {"model": "b", "calibration": {"images": "c"}, "model card": "d"})
    for other in ({"profiles": ["2x2x2"]}, {"precision": "int8"}, {"options": {}}, {"library": "tensorrt 11"}):
        ((name, value),) = other.items()
        with pytest.raises(EngineError, match=rf"differs in more than weights: {name} .*; build it") as caught:
            check_refit(path, old, key | other)
        assert f"not {value}" in str(caught.value)
    with pytest.raises(EngineError, match="was built without --refit, so its weights cannot be exchanged"):
        check_refit(path, replace(old, options={}), key)
