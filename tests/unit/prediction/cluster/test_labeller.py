"""How images and resources are shared out among workers, and what a worker does after another was lost."""

from __future__ import annotations

import pickle
from pathlib import Path, PurePosixPath

import pytest

from fcn_deploy.errors import OutputError, RunnerError
from fcn_deploy.prediction.cluster import labeller as distributed
from fcn_deploy.prediction.cluster.labeller import (
    MAX_LOST_WORKERS,
    AttemptCounter,
    Worker,
    WorkerTask,
    original_error,
    split_into_tasks,
    task_size,
    with_absolute_paths,
)
from fcn_deploy.prediction.image_states import FinishedImage
from fcn_deploy.prediction.images.sources import ImageSource
from fcn_deploy.prediction.labeller import choose_outputs
from fcn_deploy.prediction.options import PredictOptions
from fcn_deploy.prediction.tiled import Tiling


def options(**given: object) -> PredictOptions:
    return PredictOptions(**{"model": "m.onnx", "images": ("photos",), "target": Path("masks")} | given)  # type: ignore[arg-type]


def sources(*names: str) -> list[ImageSource]:
    return [ImageSource(Path("/photos", name), PurePosixPath(name)) for name in names]


def test_overlays_of_tiles_are_refused_before_a_model_is_opened():
    with pytest.raises(OutputError, match="an overlay needs the whole image in memory; leave --overlay or --tile out"):
        choose_outputs(options(tiling=Tiling(64), overlay=0.5), None)


def test_tasks_are_many_enough_for_the_actors_and_large_enough_for_batches():
    assert task_size(1, 4, 1) == 1
    assert task_size(100, 2, 1) == 13
    assert task_size(100_000, 2, 1) == 32
    assert task_size(100_000, 2, 16) == 64


def test_tasks_hold_all_sources_in_order_and_a_video_is_one_of_its_own():
    given = sources("a.jpg", "b.jpg", "c.jpg", "d.mp4", "e.mp4", "f.jpg")
    tasks = list(split_into_tasks(given, 2))
    assert [[str(source.name) for source in task.sources] for task in tasks] == [
        ["a.jpg", "b.jpg"], ["c.jpg"], ["d.mp4"], ["e.mp4"], ["f.jpg"],
    ]  # fmt: skip
    assert [task.number for task in tasks] == [0, 1, 2, 3, 4]


def test_a_worker_in_another_folder_finds_the_same_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mine = with_absolute_paths(options())
    assert (mine.model, mine.target) == (str(tmp_path / "m.onnx"), tmp_path / "masks")
    assert with_absolute_paths(PredictOptions("demo", (), Path("m"))).model == "demo"
    (task,) = split_into_tasks([ImageSource(Path("photos/a.jpg"), PurePosixPath("a.jpg"))], 9)
    assert task.sources[0].path == tmp_path / "photos" / "a.jpg"


class Lost(BaseException):
    """Stands for the end of a process."""


class Fragile:
    """A labeller whose process ends at images named "poison"."""

    name, notes = "fragile", ()

    def __init__(self, options: PredictOptions, stack: object) -> None:
        self.calls: list[list[str]] = []

    def label(self, sources):
        self.calls.append([str(source.name) for source in sources])
        for index, source in enumerate(sources):
            if "poison" in str(source.name):
                raise Lost
            yield FinishedImage(index, source.name)


@pytest.fixture
def attempts(monkeypatch):
    """A counter that survives the end of workers, in this process."""
    counter = AttemptCounter()
    monkeypatch.setattr(Worker, "_count", lambda self, what, *key: getattr(counter, what)(*key))
    monkeypatch.setattr(distributed, "LocalLabeller", Fragile)
    return counter


def until_done(task: WorkerTask) -> tuple[list[FinishedImage], list[list[list[str]]]]:
    """Give a task to a new worker each time one is lost; return the results, and what each worker labelled."""
    calls = []
    while True:
        worker = Worker(options(model="demo"), None)
        try:
            rows = list(worker({"task": [pickle.dumps(task)]}))
            calls.append(worker._labeller.calls)
            return [pickle.loads(row["result"][0]).finished for row in rows], calls
        except Lost:
            calls.append(worker._labeller.calls)
            assert len(calls) < 20


def test_an_image_that_ends_every_worker_is_left_out_and_the_others_are_labelled(attempts):
    finished, calls = until_done(WorkerTask(7, tuple(sources("a.jpg", "poison.jpg", "c.jpg"))))
    assert [str(value.name) for value in finished] == ["a.jpg", "poison.jpg", "c.jpg"]
    assert [value.error is None for value in finished] == [True, False, True]
    assert str(finished[1].error) == f"/photos/poison.jpg: {MAX_LOST_WORKERS} workers were lost over it"
    assert calls[0] == [["a.jpg", "poison.jpg", "c.jpg"]]
    assert calls[-1] == [["a.jpg"], ["c.jpg"]]
    assert len(calls) == 1 + MAX_LOST_WORKERS + 1


def test_a_task_is_taken_one_by_one_only_after_its_worker_was_lost(attempts):
    task = WorkerTask(0, tuple(sources("a.jpg", "b.jpg")))
    assert until_done(task)[1] == [[["a.jpg", "b.jpg"]]]
    assert attempts.repeated_tasks() == 0
    assert until_done(task)[1] == [[["a.jpg"], ["b.jpg"]]]
    assert attempts.repeated_tasks() == 1


def test_a_model_that_is_not_on_the_workers_machine_is_reported(attempts, tmp_path):
    worker = Worker(options(model=str(tmp_path / "m.onnx")), None)
    with pytest.raises(RunnerError, match=r"m\.onnx is not on machine .*; the model must have the same path on each"):
        list(worker({"task": [pickle.dumps(WorkerTask(0, tuple(sources("a.jpg"))))]}))


class TaskError(Exception):
    """As Ray hands it on."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__("task failed")
        self.cause = cause


def test_an_error_of_a_worker_is_raised_in_its_own_words():
    cause = original_error(TaskError(OutputError("cannot write m: no space is left\nFailed to apply UDF transform")))
    assert isinstance(cause, OutputError)
    assert str(cause) == "cannot write m: no space is left"
    missing = original_error(TaskError(ModuleNotFoundError("No module named 'fcn_deploy'", name="fcn_deploy")))
    assert str(missing).startswith("a machine of the cluster lacks a package (fcn_deploy)")
    bug = TaskError(KeyError("x"))
    assert original_error(bug) is bug
