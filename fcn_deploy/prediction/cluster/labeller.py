"""The same labelling by several processes, which Ray Data feeds, watches and replaces."""

from __future__ import annotations

import math
import pickle
import socket
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fcn_deploy.card import ModelCard
from fcn_deploy.errors import FcnDeployError, RunnerError
from fcn_deploy.model_file import file_of, kind_of
from fcn_deploy.prediction.cluster.attempts import MOST_LOST, start_ledger
from fcn_deploy.prediction.cluster.resources import Cluster, connected, divide_resources
from fcn_deploy.prediction.images.sources import ImageSource
from fcn_deploy.prediction.labeller import Labeller, outputs_of
from fcn_deploy.prediction.options import PredictOptions
from fcn_deploy.prediction.pipeline import Ended
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.system.progress import SILENT, Progress

MOST_A_TASK = 32  # images of one task: what is run again if its worker is lost
TASKS_AN_ACTOR = 4  # at least, so that a slow machine takes fewer


@dataclass(frozen=True)
class WorkerTask:
    """Images that go to a worker at once."""

    number: int
    sources: tuple[ImageSource, ...]


@dataclass(frozen=True)
class Told:
    """What a worker says of one image, and of its runner."""

    ended: Ended
    runner: str
    notes: tuple[str, ...]


class Worker:
    """What Ray runs in an actor: a `Labeller` that opens with the first images.

    Ray gives a task whose worker was lost to another one, for ever. So that an image which ends every process stops
    nothing, the second worker takes the task's images one by one, and leaves out one that has taken `MOST_LOST`.
    """

    def __init__(self, options: PredictOptions, ledger: Any) -> None:
        """`ledger` is a handle of Ray's to a `Ledger`."""
        self._options, self._ledger = options, ledger
        self._labeller: Labeller | None = None
        self._stack = ExitStack()

    def __del__(self) -> None:
        """Ray Data lets go of the worker before it ends the process."""
        self._stack.close()

    def __call__(self, batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Label the images of each pickled `WorkerTask`; yield a pickled `Told` per image, in order."""
        if self._labeller is None:
            self._labeller = self._opened()
        for row in batch["task"]:
            task: WorkerTask = pickle.loads(row)
            for ended in self._singly(task) if self._note("begin_task", task.number) else self._label(task.sources):
                yield {"told": [pickle.dumps(Told(ended, self._labeller.name, self._labeller.notes))]}

    def _opened(self) -> Labeller:
        """The model, which stays open as long as the worker lives."""
        model = self._options.model
        if not file_of(model).exists():
            raise RunnerError(
                f"{model} is not on machine {socket.gethostname()}; the model must have the same path on each machine "
                "of the cluster"
            )
        return Labeller(self._options, self._stack)

    def _label(self, sources: Sequence[ImageSource]) -> Iterator[Ended]:
        assert self._labeller is not None
        return self._labeller.label(sources)

    def _singly(self, task: WorkerTask) -> Iterator[Ended]:
        for index, source in enumerate(task.sources):
            lost = self._note("begin_image", task.number, index)
            if lost < MOST_LOST:
                yield from self._label([source])
            else:
                error = RunnerError(f"{source.address}: {lost} workers were lost over it")
                yield Ended(index, source.name, error=error)
            self._note("end_image", task.number, index)

    def _note(self, what: str, *key: int) -> Any:
        """Have the ledger note something, and wait until it has."""
        import ray

        return ray.get(getattr(self._ledger, what).remote(*key))


class RayLabeller:
    """A model that Ray's actors have open, each its own copy; `stack` ends them."""

    def __init__(
        self, options: PredictOptions, cluster: Cluster, stack: ExitStack, progress: Progress = SILENT
    ) -> None:
        """Errors as for `predict`; nothing is opened before the first image."""
        with ModelSource(options.model, progress, model=options.checkpoint_model) as source:
            source.require_file()
            self.card: ModelCard | None = source.card()
        self.outputs = outputs_of(options, self.card)
        self.name = ""
        self.notes: tuple[str, ...] = ()
        with progress.task("starting Ray", None):
            self._ray = stack.enter_context(connected(cluster))
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        self._share = divide_resources(options, cluster.actors, nodes)
        self._options = absolute(self._share.options(options))

    def label(self, sources: Sequence[ImageSource]) -> Generator[Ended, None, None]:
        size = task_size(len(sources), self._share.actors, self._options.batch)
        tasks = [{"task": pickle.dumps(task)} for task in split(sources, size)]
        ledger = start_ledger(self._ray)
        rows = self._ray.data.from_items(tasks, override_num_blocks=len(tasks)).map_batches(
            Worker,
            batch_size=None,
            fn_constructor_args=(self._options, ledger),
            compute=self._ray.data.ActorPoolStrategy(size=self._share.actors),
            num_cpus=self._share.cpus,
            num_gpus=self._share.gpus,
        )
        for told in self._rows(rows):
            self.name = told.runner
            self.notes = tuple(dict.fromkeys((*self.notes, *told.notes)))
            yield told.ended
        repeated = self._ray.get(ledger.repeated.remote())
        if repeated:
            again = "1 task was" if repeated == 1 else f"{repeated} tasks were"
            self.notes = (*self.notes, f"{again} run again by another worker, because the first was lost")
        self.outputs.sweep()  # after workers that were lost

    def _rows(self, rows: Any) -> Iterator[Told]:
        try:
            for row in rows.iter_rows():
                yield pickle.loads(row["told"])
        except self._ray.exceptions.RayTaskError as error:
            raise cause_of(error) from None
        except self._ray.exceptions.RayError as error:
            reason = str(error).splitlines()[0]
            raise RunnerError(f"Ray lost its workers for good: {reason}; run again with --skip-existing") from error

    def guard(self) -> AbstractContextManager[Callable[[], None]]:
        """Ctrl-C ends the wait for Ray at once; the workers are Ray's to end."""
        return nullcontext(lambda: None)


def cause_of(error: Any) -> BaseException:
    """What a worker raised, as it would have been raised here: Ray adds lines of advice to its words."""
    cause: BaseException = error.cause
    if isinstance(cause, (FcnDeployError, MemoryError)):
        cause.args = (str(cause).partition("\n")[0], *cause.args[1:])
        return cause
    if isinstance(cause, ModuleNotFoundError):
        return RunnerError(f"a machine of the cluster lacks a package ({cause.name}); install fcn-deploy on each")
    return error  # type: ignore[no-any-return]


def absolute(options: PredictOptions) -> PredictOptions:
    """`options` with paths that mean the same in another folder."""
    model = options.model if kind_of(options.model) == "demo" else str(Path(options.model).absolute())
    target = options.target.absolute() if isinstance(options.target, Path) else options.target
    return replace(options, model=model, target=target, images=())


def task_size(images: int, actors: int, batch: int) -> int:
    """Images of a task: few enough that every actor has several tasks, many enough for full batches."""
    return max(1, min(math.ceil(images / (actors * TASKS_AN_ACTOR)), max(MOST_A_TASK, TASKS_AN_ACTOR * batch)))


def split(sources: Sequence[ImageSource], size: int) -> Iterator[WorkerTask]:
    """Tasks of `size` images, in order; each video is one of its own."""
    number, task = 0, list[ImageSource]()
    for source in sources:
        if task and (source.is_video or task[-1].is_video or len(task) == size):
            yield WorkerTask(number, tuple(task))
            number, task = number + 1, []
        task.append(source if source.storage is not None else replace(source, path=source.path.absolute()))
    if task:
        yield WorkerTask(number, tuple(task))
