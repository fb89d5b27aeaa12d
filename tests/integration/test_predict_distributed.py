"""`fcn-deploy predict --distributed` on real clusters of Ray's: several machines that share this one's folders."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path, PurePosixPath

import numpy as np
import psutil
import pytest
from click.testing import CliRunner
from PIL import Image

from fcn_deploy.cli.commands.predict import command
from fcn_deploy.data.synthetic.dataset import SyntheticDataset
from fcn_deploy.prediction.images.storage import Storage
from tests.support.child_process import PATIENCE_S, finish
from tests.support.object_store import object_store
from tests.support.onnx_files import write_graph

ray = pytest.importorskip("ray", reason="Ray is not installed (extra ray)")
pytest.importorskip("pyarrow", reason="Ray Data is not installed (extra ray)")

IMAGES = 150


@pytest.fixture(scope="module")
def store():
    """Options of an address in an object store, which the workers' environment has the keys of."""
    with pytest.MonkeyPatch.context() as patch, object_store(patch) as options:
        yield options


@pytest.fixture(scope="module")
def cluster(store):
    """Two machines of one CPU each, as Ray counts; the second can be lost. RAY_ADDRESS of other clusters is hidden."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    settings = {"num_cpus": 1, "object_store_memory": 80 << 20}
    made = Cluster(initialize_head=True, head_node_args={**settings, "include_dashboard": False})
    made.add_node(**settings)
    yield made
    made.shutdown()


@pytest.fixture(scope="module")
def onnx(tmp_path_factory):
    return write_graph(tmp_path_factory.mktemp("models") / "small.onnx")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """150 links to five images of two shapes in two folders, and a broken one."""
    folder = tmp_path_factory.mktemp("data") / "pho tös"
    for index in range(IMAGES):
        path = folder / "ab"[index % 2] / f"{index:03}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        if index < 5:
            shape = (180, 240) if index % 2 else (121, 93)
            Image.fromarray(SyntheticDataset(5, 0, shape)[index].image).save(path, quality=95)
        else:
            path.hardlink_to(folder / "ab"[index % 5 % 2] / f"{index % 5:03}.jpg")
    (folder / "a" / "zero.jpg").write_bytes(b"")
    return folder


def start(*arguments: object) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    return subprocess.Popen(
        [sys.executable, "-m", "fcn_deploy", "predict", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


def run(*arguments: object, code: int = 0) -> tuple[str, str]:
    process = start(*arguments)
    stdout, stderr = finish(process)
    assert process.returncode == code, stderr
    return stdout, stderr


def here(*arguments: object, code: int = 0) -> str:
    """The same command in this process."""
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result.stdout


def whole(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def local(onnx, photos, tmp_path_factory):
    """The files, the areas and the report of a run in one process."""
    folder = tmp_path_factory.mktemp("local")
    areas = folder / "areas.csv"
    stdout = here(onnx, photos, "-o", folder / "masks", "--overlay", "--areas", areas, "--json", "-", code=3)
    return whole(folder / "masks"), areas.read_bytes(), json.loads(stdout)


def test_two_workers_leave_what_one_process_leaves_byte_for_byte(cluster, onnx, photos, local, tmp_path):
    areas = tmp_path / "areas.csv"
    stdout, stderr = run(
        onnx, photos, "-o", tmp_path / "masks", "--overlay", "--areas", areas, "--json", "-",
        "--distributed", "--ray-address", cluster.address, code=3,
    )  # fmt: skip
    files, table, report = local
    assert stderr == ""
    assert len(files) == 2 * IMAGES
    assert whole(tmp_path / "masks") == files
    assert areas.read_bytes() == table
    told = json.loads(stdout)
    for key in ("written", "skipped", "failures", "classes", "pixels", "runner", "format", "notes"):
        assert told[key] == report[key], key
    assert [failure["name"] for failure in told["failures"]] == ["a/zero.jpg"]


@pytest.mark.long
def test_tiles_are_cut_in_the_workers(cluster, onnx, photos, tmp_path):
    options = (onnx, photos / "b", "--tile", "64", "--batch", "4", "--format", "npy")
    here(*options, "-o", tmp_path / "one")
    stdout, _ = run(*options, "-o", tmp_path / "two", "--distributed", "--ray-address", cluster.address)
    assert "121x93: 4 tiles of 61x47" in stdout
    assert len(whole(tmp_path / "one")) == IMAGES // 2
    assert whole(tmp_path / "two") == whole(tmp_path / "one")


@pytest.mark.long
def test_images_and_results_may_be_in_an_object_store(cluster, store, onnx, photos, local, tmp_path):
    images, masks = (Storage.of(f"s3://bucket/{name}?{store}") for name in ("photos", "masks"))
    names = [f"b/{index:03}.jpg" for index in range(1, 40, 2)]
    for name in names:
        images.upload(photos / name, PurePosixPath(name))
    stdout, stderr = run(
        onnx, images, "-o", masks, "--overlay", "--distributed", "--ray-address", cluster.address, "--actors", "2"
    )
    assert f"wrote 20 label maps to {masks}" in stdout, stderr
    assert len(masks.files()) == 40
    for index, name in enumerate(masks.files()):
        masks.download(name, tmp_path / str(index))
        assert (tmp_path / str(index)).read_bytes() == local[0][str(name)], name


def workers() -> list[psutil.Process]:
    """The processes in which Ray runs our code now."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if any("ray::MapWorker" in part for part in process.info["cmdline"] or []):
            found.append(process)
    return found


def kill_at_work(processes: list[psutil.Process], *folders: Path) -> None:
    """Kill one in the middle of an image, not between two tasks: it is stopped while that is looked at."""
    deadline = time.monotonic() + PATIENCE_S
    for process in itertools.cycle(processes):
        assert time.monotonic() < deadline
        process.suspend()
        if any(Path(file.path).is_relative_to(folder) for file in process.open_files() for folder in folders):
            process.kill()
            return
        process.resume()


def wait_for(process: subprocess.Popen[str], masks: Path, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while len(list(masks.glob("?/[0-9]*.png"))) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.long
def test_a_worker_that_is_killed_loses_no_image(cluster, onnx, photos, local, tmp_path):
    process = start(
        onnx, photos, "-o", tmp_path / "masks", "--overlay", "--areas", tmp_path / "a.csv", "--json", "-",
        "--distributed", "--ray-address", cluster.address,
    )  # fmt: skip
    wait_for(process, tmp_path / "masks", 12)
    at_work = workers()
    assert len(at_work) == 2
    kill_at_work(at_work, photos, tmp_path / "masks")
    stdout, stderr = finish(process)
    assert process.returncode == 3, stderr
    report = json.loads(stdout)
    assert report["written"] == IMAGES
    assert report["notes"] == ["1 task was run again by another worker, because the first was lost"]
    assert whole(tmp_path / "masks") == local[0]
    assert (tmp_path / "a.csv").read_bytes() == local[1]


@pytest.mark.long
def test_ctrl_c_ends_the_workers_and_leaves_whole_results(cluster, onnx, photos, local, tmp_path):
    process = start(onnx, photos, "-o", tmp_path / "masks", "--distributed", "--ray-address", cluster.address)
    wait_for(process, tmp_path / "masks", 8)
    process.send_signal(signal.SIGINT)
    stdout, stderr = finish(process)
    assert (process.returncode, stdout) == (130, ""), stderr
    assert "Traceback" not in stderr
    deadline = time.monotonic() + PATIENCE_S
    while workers() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert workers() == []
    left = {name: content for name, content in whole(tmp_path / "masks").items() if not name.endswith(".tmp")}
    assert 8 <= len(left) <= IMAGES
    for name, content in left.items():
        assert content == local[0][name], name


@pytest.mark.long
def test_what_a_worker_cannot_write_is_one_line(cluster, onnx, photos, tmp_path):
    (tmp_path / "masks" / "b" / "001.png").mkdir(parents=True)
    stdout, stderr = run(
        onnx, photos, "-o", tmp_path / "masks", "--distributed", "--ray-address", cluster.address, code=1
    )
    assert stdout == ""
    assert stderr == f"error: cannot write {tmp_path / 'masks' / 'b' / '001.png'}: it is a folder; give a file name\n"


@pytest.mark.long
def test_a_lost_machine_loses_no_image(cluster, onnx, photos, local, tmp_path):
    third = cluster.add_node(num_cpus=1, object_store_memory=80 << 20)
    process = start(
        onnx, photos, "-o", tmp_path / "masks", "--overlay", "--distributed", "--ray-address", cluster.address
    )
    wait_for(process, tmp_path / "masks", 20)
    cluster.remove_node(third, allow_graceful=False)
    stdout, stderr = finish(process)
    assert process.returncode == 3, stderr
    assert f"wrote {IMAGES} label maps" in stdout
    assert whole(tmp_path / "masks") == local[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(
            ("--actors", "5"), "5 actors need a CPU each and the cluster has 2; lower --actors", marks=pytest.mark.long
        ),
        (("--runner", "onnxruntime:cuda"), "onnxruntime:cuda needs a GPU per actor and the cluster has 0"),
    ],
)
def test_more_than_the_cluster_has_is_refused_before_it_starts(cluster, onnx, photos, tmp_path, arguments, words):
    _, stderr = run(
        onnx, photos, "-o", tmp_path / "m", "--distributed", "--ray-address", cluster.address, *arguments, code=1
    )
    assert stderr.startswith(f"error: {words}")
    assert len(stderr.splitlines()) == 1
    assert not (tmp_path / "m").exists()


@pytest.mark.long
def test_a_cluster_is_started_where_none_is_and_ends_with_the_run(onnx, photos, tmp_path):
    folder = photos / "a"
    stdout, stderr = run(
        onnx, folder, "-o", tmp_path / "masks", "--distributed", "--ray-address", "local", "--actors", "2", code=3
    )
    assert f"wrote {IMAGES // 2} label maps to {tmp_path / 'masks'}" in stdout
    assert stderr == ""
    with Image.open(tmp_path / "masks" / "000.png") as image:
        assert np.asarray(image).shape == (121, 93)


def test_a_cluster_that_is_not_there_is_one_line(onnx, photos, tmp_path):
    _, stderr = run(onnx, photos, "-o", tmp_path / "m", "--distributed", "--ray-address", "127.0.0.1:1", code=1)
    assert stderr.splitlines()[-1].startswith("error: no Ray cluster at 127.0.0.1:1: ")
    assert "Traceback" not in stderr
