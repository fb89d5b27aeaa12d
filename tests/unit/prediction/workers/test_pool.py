"""Images through processes: results as by threads, in order, and nothing hangs when a process or memory is missing."""

from __future__ import annotations

import errno
import os
import threading
import time
from contextlib import closing
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from fcn_deploy.card import ModelCard
from fcn_deploy.errors import OutputError, RunnerError
from fcn_deploy.prediction import labeller as module
from fcn_deploy.prediction.image_io import ImageIO, label_images
from fcn_deploy.prediction.image_states import FinishedImage
from fcn_deploy.prediction.images.lazy_images import LazyImage
from fcn_deploy.prediction.inference import ThreadLanes
from fcn_deploy.prediction.outputs import Outputs
from fcn_deploy.prediction.pipeline import Bounds, reorder
from fcn_deploy.prediction.predict import predict
from fcn_deploy.prediction.report import PredictReport
from fcn_deploy.prediction.stage_clock import StageClock
from fcn_deploy.prediction.workers import pool as pool_module
from fcn_deploy.prediction.workers.pool import ImageProcesses
from fcn_deploy.vocabulary import LABELS
from tests.support.fake_runners import FakeRunner

CARD = ModelCard("fcn8s", tuple("abcd"))
SHAPES = ((3, 5), (5, 3), (4, 4))
BROKEN = 7


EARLIER: set[int] = set()  # children that another test of this process left


@pytest.fixture(autouse=True)
def _count_earlier_children():
    EARLIER.clear()
    EARLIER.update(child.pid for child in psutil.Process().children())


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if child.pid not in EARLIER]


@pytest.fixture
def photos(tmp_path):
    """40 images of three shapes whose red value is their number modulo 4; one is no image."""
    (tmp_path / "photos").mkdir()
    for index in range(40):
        image = np.full((*SHAPES[index % 3], 3), index % 4, np.uint8)
        Image.fromarray(image).save(tmp_path / "photos" / f"{index:02}.png")
    (tmp_path / "photos" / f"{BROKEN:02}.png").write_bytes(b"no image")
    return tmp_path / "photos"


def predicted(monkeypatch, photos: Path, masks: str, runner: FakeRunner, enough: int, **given: Any) -> PredictReport:
    monkeypatch.setattr(module, "open_runners", lambda *args, **options: [runner])
    monkeypatch.setattr(module, "ENOUGH_IMAGES", enough)
    monkeypatch.setattr(module, "ENOUGH_CORES", 1)
    (photos.parent / "fake.onnx").touch()
    return predict(photos.parent / "fake.onnx", photos, photos.parent / masks, **{"workers": 3, **given})


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("batch", [1, 4])
def test_results_are_those_of_threads_byte_for_byte(monkeypatch, photos, batch):
    given = {"batch": batch, "overlay": 0.5}
    areas = [photos.parent / f"{name}.csv" for name in ("processes", "threads")]
    ours = predicted(monkeypatch, photos, "processes", FakeRunner(card=CARD), 40, areas=areas[0], **given)
    theirs = predicted(monkeypatch, photos, "threads", FakeRunner(card=CARD), 41, areas=areas[1], **given)
    assert ours.notes == ("3 processes decode and write images",)
    assert theirs.notes == ()
    assert ours.written == 39
    assert ours.failures == theirs.failures
    assert ours.pixels == theirs.pixels
    assert contents(photos.parent / "processes") == contents(photos.parent / "threads")
    assert areas[0].read_bytes() == areas[1].read_bytes()


def test_few_cores_and_few_images_are_left_to_threads(monkeypatch, photos):
    assert predicted(monkeypatch, photos, "few images", FakeRunner(card=CARD), 41).notes == ()
    monkeypatch.setattr(module, "usable_cores", lambda: 0)
    assert predicted(monkeypatch, photos, "few cores", FakeRunner(card=CARD), 40).notes == ()


def test_a_run_that_was_stopped_is_continued(monkeypatch, photos):
    predicted(monkeypatch, photos, "masks", FakeRunner(card=CARD), 1)
    (photos.parent / "masks" / "05.png").unlink()
    report = predicted(monkeypatch, photos, "masks", FakeRunner(card=CARD), 1, skip_existing=True)
    assert (report.written, report.skipped) == (1, 38)


class Killing(FakeRunner):
    """Ends every process that decodes and writes at its fifth image."""

    def _execute(self) -> None:
        if len(self.shapes) == 5:
            for child in children():
                child.kill()


def test_a_process_that_was_killed_is_one_line_and_leaves_no_other(monkeypatch, photos):
    with pytest.raises(RunnerError, match=r"a process that decodes and writes images was killed \(SIGKILL\), often"):
        predicted(monkeypatch, photos, "masks", Killing(card=CARD), 1)
    assert children() == []


class Mapped(FakeRunner):
    """Reads which files the processes have mapped."""

    files: str = ""

    def _execute(self) -> None:
        if len(self.shapes) == 5:
            self.files = "".join(Path(f"/proc/{child.pid}/maps").read_text() for child in children())


def test_a_full_dev_shm_is_no_matter_because_nothing_lies_there(monkeypatch, photos):
    with Mapped(card=CARD) as runner:
        predicted(monkeypatch, photos, "masks", runner, 1)
        assert "/memfd:fcn-deploy images" in runner.files
        assert "/dev/shm" not in runner.files


def refuse(*arguments: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("call", ["memfd_create", "ftruncate"])
def test_without_memory_to_share_threads_do_the_work_and_a_note_says_why(monkeypatch, photos, call):
    monkeypatch.setattr(os, call, refuse)
    report = predicted(monkeypatch, photos, "masks", FakeRunner(card=CARD), 1)
    assert report.written == 39
    (note,) = report.notes
    assert note.startswith("threads decode and write images, processes cannot (")
    assert "No space left on device" in note
    assert children() == []


def test_a_system_without_anonymous_files_uses_threads(monkeypatch, photos):
    monkeypatch.delattr(os, "memfd_create")
    assert predicted(monkeypatch, photos, "masks", FakeRunner(card=CARD), 1).written == 39


class Full(Outputs):
    """A disk that is full from image 5 on."""

    def write(self, name, image, labels, confidence) -> None:
        if int(str(name)) >= 5:
            raise OutputError("no space is left")
        super().write(name, image, labels, confidence)


class Dying(Outputs):
    """A program error."""

    def write(self, name, image, labels, confidence) -> None:
        raise ZeroDivisionError("a bug")


def solid(shape: tuple[int, int], value: int) -> np.ndarray:
    return np.full((*shape, 3), value, np.uint8)


def run(
    outputs: Outputs, count: int, *, portable: bool = True, infer_s: float = 0, batch: int = 4, classes: int = 0
) -> list[FinishedImage]:
    """Label `count` images by their red values; no more slots are there than the bounds say."""

    def infer(images: np.ndarray) -> dict[str, np.ndarray]:
        time.sleep(infer_s)
        if images.max() == 9:
            raise RunnerError("out of memory")
        return {LABELS: images[..., 0].copy()}

    items = (
        LazyImage(index, PurePosixPath(str(index)), partial(solid, SHAPES[index * 7 % 3], index % 10), portable)
        for index in range(count)
    )
    clock = StageClock()
    with closing(ThreadLanes([infer, infer])) as lanes, closing(ImageProcesses(2)) as pool:
        bounds = Bounds.of(2, batch, lanes.slots)
        pool.begin(ImageIO(outputs, classes, count=classes > 0), bounds.images, clock)
        return list(reorder(label_images(items, pool, lanes, batch, bounds, clock), lambda one: one.index))


@pytest.mark.parametrize("infer_s", [0, 0.01])
@pytest.mark.parametrize("portable", [True, False], ids=["files", "frames"])
def test_slots_suffice_for_every_image_that_the_bounds_allow(tmp_path, portable, infer_s):
    finished = run(Outputs(tmp_path, "npy", ()), 150, portable=portable, infer_s=infer_s)
    assert [one.index for one in finished] == list(range(150))
    assert [one.index for one in finished if one.error] == list(range(9, 150, 10))
    for index in set(range(150)) - set(range(9, 150, 10)):
        assert np.array_equal(np.load(tmp_path / f"{index}.npy"), np.full(SHAPES[index * 7 % 3], index % 10))


def test_a_write_that_fails_stops_the_run_and_no_process_or_thread_stays(tmp_path):
    before = threading.active_count()
    with pytest.raises(OutputError, match="no space is left"):
        run(Full(tmp_path, "npy", ()), 100_000)
    assert {path.name for path in tmp_path.iterdir()} <= {f"{index}.npy" for index in range(5)}
    assert children() == []
    assert threading.active_count() == before


def test_an_error_of_the_program_in_a_process_is_shown(tmp_path):
    with pytest.raises(RunnerError, match="ended with exit code 1: ZeroDivisionError: a bug"):
        run(Dying(tmp_path, "npy", ()), 20)


def test_no_process_has_more_tasks_than_its_socket_holds(tmp_path, monkeypatch):
    asked = []
    ask = pool_module._Process.ask

    def counted(self, task: object) -> None:
        asked.append(len(self.expected))
        ask(self, task)

    monkeypatch.setattr(pool_module._Process, "ask", counted)
    finished = run(Outputs(tmp_path, "npy", ()), 300, batch=100, classes=1000)
    assert sum(one.error is None for one in finished) == 270
    assert max(asked) == pool_module._MOST_ASKED


def test_a_process_has_one_thread(tmp_path):
    """NumPy would start one for each core, in each process."""
    with closing(ImageProcesses(1)) as pool:
        pool.begin(ImageIO(Outputs(tmp_path, "npy", ()), 0), 4, StageClock())
        pool.load(LazyImage(0, PurePosixPath("0"), partial(solid, (2, 2), 1), portable=True)).result()
        threads = [child.num_threads() for child in children()]
    assert threads == [1]
