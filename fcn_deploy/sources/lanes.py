"""Open several runners over one model's weights, for inferences at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from fcn_deploy.errors import RunnerError
from fcn_deploy.runners.base import Runner
from fcn_deploy.runners.engine_options import TrtOptions
from fcn_deploy.runners.registry import device_of, entry
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.system.process import usable_cores

# Two inferences of half the threads do more than one of all of them, which waits for the last thread of each layer.
USUAL_LANES = 2


def open_runners(
    source: ModelSource,
    stack: ExitStack,
    *,
    runner: str | None = None,
    threads: int | None = None,
    lanes: int | None = 1,
    engine: TrtOptions | None = None,
) -> list[Runner]:
    """Open `lanes` runners over one model's weights, which `stack` closes.

    Args:
        runner: spec as in `open_runner`; None for the default of the source's kind.
        threads: CPU threads of each runner; None shares the cores out, or leaves the backend's choice to one runner.
        lanes: inferences at a time, each with memory of its own; None for two on a CPU with cores for both, else one.
        engine: as for `open_runner`.

    Raises:
        FcnDeployError: as `ModelSource.open` does.
    """
    spec = runner or source.default_runner
    if entry(spec).opens == "engine" and lanes is not None and lanes > 1:
        raise RunnerError("an engine is fed by its own slots; leave --lanes out")
    shared = device_of(spec) == "cpu" and entry(spec).lanes  # several at a time pay
    wanted = lanes or (min(USUAL_LANES, usable_cores() // (threads or 1)) if shared else 1)
    if wanted > 1 and threads is None and shared:
        threads = max(usable_cores() // wanted, 1)
    first = stack.enter_context(source.open(spec, threads=threads, engine=engine, lanes=wanted))
    return [first, *_clones(first, wanted - 1, lanes, stack)]


def _clones(first: Runner, count: int, asked: int | None, stack: ExitStack) -> Iterator[Runner]:
    for _ in range(count):
        clone = first.clone()
        if clone is not None:
            yield stack.enter_context(clone)
        elif asked is not None:
            raise RunnerError(f"{first.name} runs one inference at a time; leave --lanes out")
