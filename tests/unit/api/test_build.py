"""The builder over doubles of every release's real API: whatever it touches exists there, with these arguments."""

from __future__ import annotations

import pytest

from fcn_deploy.doctor.probe_model import build_tiny
from fcn_deploy.engine.builder.compile import compile_plan
from fcn_deploy.engine.builder.options import check_options
from fcn_deploy.engine.builder.parse import parse
from fcn_deploy.errors import EngineError
from tests.api.bindings import RELEASES
from tests.api.builder import PLAN
from tests.support.tensorrt_api import ASKED, builds, every_release, job

# What the table must refuse, because the release has nothing for it or is known to ignore it.
REFUSED = {
    "tensorrt-8.6.1": {"sm", "strip"},
    "tensorrt-10.0.1": {"sm"},
    "tensorrt-10.3.0": {"sm"},
    "tensorrt-10.16.1": {"sm"},
    "tensorrt-11.0.0": {"sm"},
    "tensorrt-11.4.0": {"sm"},
    "tensorrt_rtx-1.4.0": {"timing_cache", "version_compatible", "hardware_compatible"},
    "tensorrt_rtx-1.7.1": {"timing_cache", "version_compatible", "hardware_compatible"},
}


@every_release
def test_every_option_that_the_table_allows_builds(release, tmp_path):
    for name in (name for name in ASKED if name not in REFUSED[release.title]):
        folder = tmp_path / name
        folder.mkdir()
        flavor, building = builds(release)
        wanted, phases = job(folder, **ASKED[name]), []
        check_options(flavor, wanted.options, has_gpu=True)
        compiled = compile_plan(flavor, wanted, lambda phase, steps, seen=phases: seen.append((phase, steps)))
        assert wanted.plan.read_bytes() == PLAN, name
        assert [(layer.name, layer.precision) for layer in compiled.layers] == [("fc6", "FP16")], name
        assert (compiled.inputs[0].dtype, compiled.inputs[0].shape) == ("uint8", (-1, -1, -1, 3)), name
        assert phases == ([("Building", 2)] if flavor.traits.monitor else []), name
        shapes = [profile.shapes["image"] for profile in building.configs[0].profiles]
        assert shapes[1] == ((3, 64, 64, 3), (4, 64, 96, 3), (4, 128, 96, 3)), name


@pytest.mark.parametrize(("title", "refused"), REFUSED.items())
def test_what_a_release_has_nothing_for_is_refused_by_the_table(title, refused):
    (release,) = (release for release in RELEASES if release.title == title)
    flavor, _ = builds(release)
    assert {name for name in ASKED if flavor.refusal(name, has_gpu=True)} == refused


@every_release
def test_options_reach_the_release_under_its_own_names(release, tmp_path):
    flavor, building = builds(release)
    allowed = {"workspace_bytes": 1 << 30, "optimization_level": 2, "tf32": False, "refit": True}
    compile_plan(flavor, job(tmp_path, **allowed))
    (config,) = building.configs
    assert config.limits == {"WORKSPACE": 1 << 30}
    assert config.builder_optimization_level == 2
    assert config.flags == {"REFIT"} | ({"FP16", "INT8"} if release.version == "8.6.1" else set())
    assert building.networks == [{"8": 1, "10": 2}.get(release.version.split(".")[0], 0)]  # bit 0 and bit 1


@every_release
def test_the_parsers_errors_are_read_with_the_details_that_the_release_has(release, tmp_path):
    flavor, building = builds(release)
    building.errors = [{"desc": "In node 7: ASSERT failed"}, {"desc": "no", "code": "UNSUPPORTED_NODE", "node": -1}]
    first, second = parse(flavor, tmp_path / "net.onnx").findings
    if release.version == "8.6.1":
        assert first.problem == "TensorRT 8.6.1 rejects the file at node 7: In node 7: ASSERT failed"
        assert second.names == ()
    else:
        assert (first.names, second.names) == (("fc6",), ("fc6",))
        assert second.problem.startswith("operator Conv is rejected by TensorRT")


@every_release
def test_every_way_to_fail_ends_in_an_engine_error(release, tmp_path):
    ways = {"starts": False, "accepts": False, "inputs": 0, "plan": None, "errors": [{"desc": "bad"}], "parses": False}
    for name, value in ways.items():
        flavor, building = builds(release)
        setattr(building, name, value)
        with pytest.raises(EngineError):
            compile_plan(flavor, job(tmp_path))


@every_release
def test_a_build_is_cancelled_from_inside_where_the_release_has_a_monitor(release, tmp_path):
    flavor, _ = builds(release)

    def cancel(name, steps):
        raise KeyboardInterrupt

    if flavor.traits.monitor:
        with pytest.raises(KeyboardInterrupt):
            compile_plan(flavor, job(tmp_path), cancel)
    else:
        assert compile_plan(flavor, job(tmp_path), cancel).plan_bytes == len(PLAN)


@every_release
def test_a_timing_cache_is_read_written_and_refused_if_it_is_of_another_gpu(release, tmp_path):
    if "timing_cache" in REFUSED[release.title]:
        pytest.skip("the table refuses timing caches")
    flavor, building = builds(release)
    wanted = job(tmp_path, timing_cache="measured.cache")
    compile_plan(flavor, wanted)
    assert (tmp_path / "measured.cache").read_bytes() == b"measured"
    building.cache_fits = False
    with pytest.raises(EngineError, match="is no timing cache of this library and GPU"):
        compile_plan(flavor, wanted)


@every_release
def test_the_network_of_doctor_builds(release, tmp_path):
    flavor, building = builds(release)
    assert build_tiny(flavor, tmp_path / "tiny.onnx") == PLAN
    building.starts = False
    with pytest.raises(EngineError, match="cannot start: CUDA initialization failure"):
        build_tiny(flavor, tmp_path / "tiny.onnx")
