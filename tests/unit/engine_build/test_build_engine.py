"""What an exchange of weights takes over from the engine, without a GPU: the build itself is a double."""

from __future__ import annotations

import pytest

import fcn_deploy
from fcn_deploy import BuildOptions, Profile
from fcn_deploy.engine.builder.build import BuildReport
from fcn_deploy.engine.gpus import Gpu
from fcn_deploy.engine.sidecar import read_sidecar
from fcn_deploy.engine_build import build_engine as module
from fcn_deploy.errors import EngineError
from tests.api.bindings import RELEASES
from tests.support.small_fcn import write_fcn
from tests.support.tensorrt_api import write_engine

pytest.importorskip("tensorrt_rtx", reason="tensorrt_rtx is not installed")
PROFILE = Profile((1, 33, 47), (1, 64, 96), (2, 128, 96))


@pytest.fixture
def jobs(monkeypatch, tmp_path):
    """What was to be built; a GPU is there."""
    found = []
    stands_for = read_sidecar(write_engine(tmp_path / "any.engine", RELEASES[-1], {}))

    def build(job, target, progress):
        found.append(job)
        return BuildReport(target, stands_for)

    monkeypatch.setattr(module, "build", build)
    monkeypatch.setattr(module, "gpus", lambda: (Gpu("Fake GPU", "SM89", "13.0"),))
    return found


def test_sizes_and_library_are_those_of_the_engine_and_only_weights_may_differ(jobs, tmp_path):
    first, second = (write_fcn(tmp_path / f"{name}.onnx") for name in ("first", "second"))
    fcn_deploy.build_engine(first, tmp_path / "old.engine", profiles=[PROFILE], options=BuildOptions(refit=True))
    (built,) = jobs
    release = next(release for release in RELEASES if release.flavor == "tensorrt_rtx")
    old = write_engine(tmp_path / "old.engine", release, {"refit": True}, dict(built.key), (PROFILE,))
    fcn_deploy.build_engine(second, tmp_path / "new.engine", refit_from=old)
    refitted = jobs[1]
    assert (built.refit_from, refitted.refit_from) == (None, old)
    assert (refitted.profiles, refitted.options.refit, refitted.flavor.name) == ((PROFILE,), True, "tensorrt_rtx")
    with pytest.raises(EngineError, match=r"old\.engine differs in more than weights: precision as the file"):
        fcn_deploy.build_engine(second, tmp_path / "half.engine", refit_from=old, precision="fp16")
    with pytest.raises(EngineError, match="differs in more than weights: profiles"):
        fcn_deploy.build_engine(second, tmp_path / "one.engine", refit_from=old, profiles=[Profile(*3 * [(1, 64, 96)])])
    assert len(jobs) == 2


def test_without_a_gpu_or_an_engine_it_is_one_line(tmp_path, shell):
    model = write_fcn(tmp_path / "m.onnx")
    ended = shell("build-engine", model, "-o", tmp_path / "new.engine", "--refit-from", tmp_path / "none.engine")
    assert (ended.code, len(ended.err.splitlines())) == (1, 1)
    assert "none.engine" in ended.err
    old = write_engine(tmp_path / "old.engine", RELEASES[-1], {"refit": True})
    ended = shell("build-engine", model, "-o", tmp_path / "new.engine", "--refit-from", old)
    assert ended.code == 1
    assert "it needs a GPU to build a plan whose weights can be exchanged" in ended.err
