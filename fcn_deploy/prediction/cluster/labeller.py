"""Label images in several processes that Ray Data starts, feeds and replaces."""

from __future__ import annotations

import math
import pickle
import socket
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fcn_deploy.card import ModelCard
from fcn_deploy.errors import FcnDeployError, RunnerError, first_line
from fcn_deploy.model_file import file_of, kind_of
from fcn_deploy.prediction.cluster.resources import Cluster, divide_resources, ray_session
from fcn_deploy.prediction.image_states import FinishedImage
from fcn_deploy.prediction.images.sources import ImageSource
from fcn_deploy.prediction.labeller import LocalLabeller, choose_outputs
from fcn_deploy.prediction.options import PredictOptions
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.system.progress import SILENT, Progress

# A worker can be lost for another reason than its image; an image that ends this many workers is at fault.
MAX_LOST_WORKERS = 3


class AttemptCounter:
    """Counts of started tasks and images, to find an image that ends every worker.

    Ray runs it in an actor on the machine of the calling program.
    """

    def __init__(self) -> None:
        self._tasks: Counter[int] = Counter()
        self._images: Counter[tuple[int, int]] = Counter()

    def start_task(self, task: int) -> int:
        """Count a start of `task`; return how often it was started before."""
        self._tasks[task] += 1
        return self._tasks[task] - 1

    def start_image(self, task: int, index: int) -> int:
        """Count a start of image `index` of `task` alone; return how many workers started it and never finished."""
        self._images[task, index] += 1
        return self._images[task, index] - 1

    def finish_image(self, task: int, index: int) -> None:
        """Record that a worker survived the image."""
        self._images[task, index] -= 1

    def repeated_tasks(self) -> int:
        """Return how many tasks were started more than once: at least that many workers were lost."""
        return sum(1 for count in self._tasks.values() if count > 1)


def start_attempt_counter(ray: Any) -> Any:
    """Start an `AttemptCounter` on this machine, which survives the loss of others; return Ray's handle."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(node_id=ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(AttemptCounter).options(num_cpus=0, scheduling_strategy=here).remote()


MAX_IMAGES_PER_TASK = 32  # images of one task: what is run again if its worker is lost
MIN_TASKS_PER_ACTOR = 4  # at least, so that a slow machine takes fewer


@dataclass(frozen=True)
class WorkerTask:
    """Images that go to a worker at once."""

    number: int
    sources: tuple[ImageSource, ...]


@dataclass(frozen=True)
class WorkerResult:
    """What a worker returns for one image, with the name and the notes of its runner."""

    finished: FinishedImage
    runner: str
    notes: tuple[str, ...]


class Worker:
    """The class that Ray runs in an actor: a `LocalLabeller`, opened with the first images.

    Ray gives the task of a lost worker to another one, without limit. So that an image which ends every process does
    not stop the run, the second worker labels the task's images one by one, and skips one that ended
    `MAX_LOST_WORKERS`.
    """

    def __init__(self, options: PredictOptions, attempts: Any) -> None:
        """Keep `attempts`, Ray's handle to an `AttemptCounter`."""
        self._options, self._attempts = options, attempts
        self._labeller: LocalLabeller | None = None
        self._stack = ExitStack()

    def __del__(self) -> None:
        """Close the model: Ray Data deletes the worker before it ends the process."""
        self._stack.close()

    def __call__(self, batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Label the images of each pickled `WorkerTask`; yield a pickled `WorkerResult` per image, in order."""
        if self._labeller is None:
            self._labeller = self._open_labeller()
        for row in batch["task"]:
            task: WorkerTask = pickle.loads(row)
            for finished in (
                self._label_one_by_one(task) if self._count("start_task", task.number) else self._label(task.sources)
            ):
                yield {"result": [pickle.dumps(WorkerResult(finished, self._labeller.name, self._labeller.notes))]}

    def _open_labeller(self) -> LocalLabeller:
        """Open the model, which stays open as long as the worker lives."""
        model = self._options.model
        if not file_of(model).exists():
            raise RunnerError(
                f"{model} is not on machine {socket.gethostname()}; the model must have the same path on each machine "
                "of the cluster"
            )
        return LocalLabeller(self._options, self._stack)

    def _label(self, sources: Sequence[ImageSource]) -> Iterator[FinishedImage]:
        assert self._labeller is not None
        return self._labeller.label(sources)

    def _label_one_by_one(self, task: WorkerTask) -> Iterator[FinishedImage]:
        for index, source in enumerate(task.sources):
            lost = self._count("start_image", task.number, index)
            if lost < MAX_LOST_WORKERS:
                yield from self._label([source])
            else:
                error = RunnerError(f"{source.address}: {lost} workers were lost over it")
                yield FinishedImage(index, source.name, error=error)
            self._count("finish_image", task.number, index)

    def _count(self, what: str, *key: int) -> Any:
        """Call method `what` of the attempt counter, and wait for its answer."""
        import ray

        return ray.get(getattr(self._attempts, what).remote(*key))


class RayLabeller:
    """A model that each of Ray's actors has opened for itself; `stack` ends them."""

    def __init__(
        self, options: PredictOptions, cluster: Cluster, stack: ExitStack, progress: Progress = SILENT
    ) -> None:
        """Connect to Ray; errors as for `predict`. No model is opened before the first image."""
        with ModelSource(options.model, progress, model=options.checkpoint_model) as source:
            self.card: ModelCard | None = source.card()
        self.outputs = choose_outputs(options, self.card)
        self.name, self.clock = "", None
        self.notes: tuple[str, ...] = ()
        with progress.task("starting Ray", None):
            self._ray = stack.enter_context(ray_session(cluster))
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        self._resources = divide_resources(options, cluster.actors, nodes)
        self._options = with_absolute_paths(self._resources.options(options))

    def label(self, sources: Sequence[ImageSource]) -> Generator[FinishedImage, None, None]:
        size = task_size(len(sources), self._resources.actors, self._options.batch)
        tasks = [{"task": pickle.dumps(task)} for task in split_into_tasks(sources, size)]
        attempts = start_attempt_counter(self._ray)
        rows = self._ray.data.from_items(tasks, override_num_blocks=len(tasks)).map_batches(
            Worker,
            batch_size=None,
            fn_constructor_args=(self._options, attempts),
            compute=self._ray.data.ActorPoolStrategy(size=self._resources.actors),
            num_cpus=self._resources.cpus,
            num_gpus=self._resources.gpus,
        )
        for result in self._rows(rows):
            self.name = result.runner
            self.notes = tuple(dict.fromkeys((*self.notes, *result.notes)))
            yield result.finished
        repeated_tasks = self._ray.get(attempts.repeated_tasks.remote())
        if repeated_tasks:
            again = "1 task was" if repeated_tasks == 1 else f"{repeated_tasks} tasks were"
            self.notes = (*self.notes, f"{again} run again by another worker, because the first was lost")
        self.outputs.remove_partial_files()  # after workers that were lost

    def _rows(self, rows: Any) -> Iterator[WorkerResult]:
        try:
            for row in rows.iter_rows():
                yield pickle.loads(row["result"])
        except self._ray.exceptions.RayTaskError as error:
            raise original_error(error) from None
        except self._ray.exceptions.RayError as error:
            raise RunnerError(
                f"Ray lost its workers for good: {first_line(error)}; run again with --skip-existing"
            ) from error

    def interruptible(self) -> AbstractContextManager[Callable[[], None]]:
        """Do nothing: Ctrl-C ends the wait for Ray at once, and Ray ends the workers."""
        return nullcontext(lambda: None)


def original_error(error: Any) -> BaseException:
    """Return the error that a worker raised, without the lines of advice that Ray adds."""
    cause: BaseException = error.cause
    if isinstance(cause, (FcnDeployError, MemoryError)):
        cause.args = (str(cause).partition("\n")[0], *cause.args[1:])
        return cause
    if isinstance(cause, ModuleNotFoundError):
        return RunnerError(f"a machine of the cluster lacks a package ({cause.name}); install fcn-deploy on each")
    return error  # type: ignore[no-any-return]


def with_absolute_paths(options: PredictOptions) -> PredictOptions:
    """Return `options` with absolute paths, which mean the same in a worker's folder."""
    model = options.model if kind_of(options.model) == "demo" else str(Path(options.model).absolute())
    target = options.target.absolute() if isinstance(options.target, Path) else options.target
    confidence = None if options.confidence is None else options.confidence.absolute()
    return replace(options, model=model, target=target, confidence=confidence, images=())


def task_size(images: int, actors: int, batch: int) -> int:
    """Return the images per task: few enough that every actor has several tasks, many enough for full batches."""
    return max(
        1,
        min(math.ceil(images / (actors * MIN_TASKS_PER_ACTOR)), max(MAX_IMAGES_PER_TASK, MIN_TASKS_PER_ACTOR * batch)),
    )


def split_into_tasks(sources: Sequence[ImageSource], size: int) -> Iterator[WorkerTask]:
    """Yield tasks of `size` images, in order; each video is a task of its own."""
    number, task = 0, list[ImageSource]()
    for source in sources:
        if task and (source.is_video or task[-1].is_video or len(task) == size):
            yield WorkerTask(number, tuple(task))
            number, task = number + 1, []
        task.append(source if source.storage is not None else replace(source, path=source.path.absolute()))
    if task:
        yield WorkerTask(number, tuple(task))
