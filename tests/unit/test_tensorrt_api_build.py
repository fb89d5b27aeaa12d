"""The builder over doubles of every release's real API: whatever it touches exists there, with these arguments."""

from __future__ import annotations

import pytest

from fcn_deploy.engine.compile import Job, compile_plan
from fcn_deploy.engine.flavors import Flavor, traits_of
from fcn_deploy.engine.options import BuildOptions, check_options
from fcn_deploy.engine.profiles import Profile
from fcn_deploy.errors import EngineError
from tests.api.bindings import RELEASES, Release, read
from tests.api.builder import PLAN, Building
from tests.api.doubles import Double

ASKED = {
    "nothing": {},
    "workspace": {"workspace_bytes": 1 << 30},
    "timing_cache": {"timing_cache": "measured.cache"},
    "level": {"optimization_level": 3},
    "tf32": {"tf32": True},
    "no_tf32": {"tf32": False},
    "refit": {"refit": True},
    "strip": {"strip": True},
    "version_compatible": {"version_compatible": True},
    "hardware_compatible": {"hardware_compatible": True},
    "sm": {"sm": ("SM86", "SM89")},
}
PROFILES = (Profile((1, 33, 47), (1, 360, 480), (2, 512, 512)), Profile((3, 64, 64), (4, 64, 96), (4, 128, 96)))


def opened(release: Release) -> tuple[Flavor, Building]:
    building = Building()
    double = Double(release.flavor, read(release.title), building)
    building.double = double
    version = double.__version__
    assert version.startswith(release.version)
    return Flavor(release.flavor, double, version, traits_of(release.flavor, version)), building


def job(tmp_path, **options) -> Job:
    if "timing_cache" in options:
        options["timing_cache"] = str(tmp_path / options["timing_cache"])
    onnx, plan = tmp_path / "net.onnx", tmp_path / "net.engine"
    return Job(onnx, plan, "image", (0, 1, 2), PROFILES, BuildOptions(**options), fp16=True, int8=True)


every_release = pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.title)


@every_release
@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_every_option_that_the_table_allows_builds(release, asked, tmp_path):
    flavor, building = opened(release)
    wanted = job(tmp_path, **asked)
    phases = []
    try:
        check_options(flavor, wanted.options, has_gpu=True)
    except EngineError as error:
        assert "has no --" in str(error)
        return
    compiled = compile_plan(flavor, wanted, lambda name, steps: phases.append((name, steps)))
    assert wanted.plan.read_bytes() == PLAN
    assert [layer.name for layer in compiled.layers] == ["fc6"]
    assert (compiled.inputs[0].dtype, compiled.inputs[0].shape) == ("uint8", (-1, -1, -1, 3))
    assert phases == ([("Building", 2)] if flavor.traits.monitor else [])
    assert [profile.shapes["image"][1] for profile in building.configs[0].profiles] == [
        (1, 360, 480, 3),
        (4, 64, 96, 3),
    ]
