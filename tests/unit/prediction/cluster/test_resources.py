"""What an actor takes of a cluster, and what a cluster has."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fcn_deploy.errors import MissingDependencyError, RunnerError
from fcn_deploy.prediction.cluster.resources import Cluster, WorkerResources, divide_resources, ray_session
from fcn_deploy.prediction.options import PredictOptions
from fcn_deploy.prediction.tiled import Tiling


def options(**given: object) -> PredictOptions:
    return PredictOptions(**{"model": "m.onnx", "images": ("photos",), "target": Path("masks")} | given)  # type: ignore[arg-type]


def cpu(*cores: int) -> list[dict[str, float]]:
    return [{"CPU": count} for count in cores]


@pytest.mark.parametrize(
    ("actors", "cores", "share"),
    [
        (None, (8,), WorkerResources(1, 8, 0)),
        (None, (8, 4), WorkerResources(2, 4, 0)),
        (2, (2,), WorkerResources(2, 1, 0)),
        (3, (8,), WorkerResources(3, 2, 0)),
        (3, (4, 4), WorkerResources(3, 2, 0)),
        (5, (4, 2), WorkerResources(5, 1, 0)),
    ],
)
def test_without_gpus_an_actor_a_machine_gets_as_many_cores_as_let_all_find_a_place(actors, cores, share):
    assert divide_resources(options(), actors, cpu(*cores)) == share


def test_one_gpu_per_actor():
    nodes = [{"CPU": 16, "GPU": 4}, {"CPU": 8, "GPU": 1}, {"CPU": 2}]
    assert divide_resources(options(runner="onnxruntime:cuda"), None, nodes) == WorkerResources(5, 1, 1)
    assert divide_resources(PredictOptions("m.engine", (), Path("m")), 3, nodes) == WorkerResources(3, 1, 1)
    with pytest.raises(RunnerError, match="needs a GPU per actor and the cluster has 5; lower --actors"):
        divide_resources(options(runner="pytorch:cuda"), 6, nodes)


def test_missing_resources_of_a_cluster_are_reported():
    with pytest.raises(RunnerError, match="7 actors need a CPU each and the cluster has 6; lower --actors"):
        divide_resources(options(), 7, cpu(4, 2))
    with pytest.raises(RunnerError, match="no machine of the cluster has a free CPU"):
        divide_resources(options(), None, [{"memory": 1e9}, {"CPU": 0}])


def test_an_actor_uses_the_cores_that_it_reserved_and_what_the_user_said():
    def threads(share: WorkerResources, **given: object) -> tuple[int | None, int | None, int | None]:
        mine = share.options(options(**given))
        return mine.lanes, mine.threads, mine.workers

    assert threads(WorkerResources(2, 1, 0)) == (1, 1, 3)
    assert threads(WorkerResources(1, 8, 0)) == (2, 4, 10)
    assert threads(WorkerResources(1, 8, 0), lanes=4) == (4, 2, 10)
    assert threads(WorkerResources(1, 8, 0), threads=8, workers=1) == (1, 8, 1)
    assert threads(WorkerResources(1, 8, 0), tiling=Tiling(64)) == (None, 8, 10)
    assert threads(WorkerResources(4, 1, 1)) == (None, None, None)


def test_a_malformed_address_is_refused_at_once(monkeypatch):
    pytest.importorskip("ray.data", reason="Ray Data is not installed (extra ray)")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    for address in ("ray://head:10001", "head"):
        with (
            pytest.raises(RunnerError, match=rf"no Ray cluster at {address}: expected HOST:PORT"),
            ray_session(Cluster(address)),
        ):
            raise AssertionError


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    words = r"ray is not installed; try: pip install 'fcn-deploy\[ray\]'"
    with pytest.raises(MissingDependencyError, match=words), ray_session(Cluster()):
        raise AssertionError
