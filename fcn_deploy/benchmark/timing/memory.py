"""Measure the peak memory of a process that opens one runner alone and runs one batch.

Measured in a child process, because within one process the first runner's memory stays with the allocators, and every
later one would look too small or too large.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Any

from fcn_deploy.benchmark.record.measurement import Memory
from fcn_deploy.errors import FcnDeployError, RunnerError
from fcn_deploy.runners.engine_options import TrtOptions
from fcn_deploy.system.process import ChildError, answer_parent, peak_bytes, run_in_child
from fcn_deploy.system.serialization.decode import decode
from fcn_deploy.vocabulary import Shape

TIMEOUT_S = 600
MIB = 1 << 20


def measure_memory(
    spec: str,
    source: str,
    shape: Shape,
    *,
    threads: int | None = None,
    model: str | None = None,
    engine: TrtOptions | None = None,
) -> Memory:
    """Run `spec` on `source` once, twice on a GPU, on a grey batch of `shape` (N, H, W), in a fresh process.

    Args:
        model: what a checkpoint holds where its keys leave a choice.
        engine: as for `open_runner`.

    Raises:
        RunnerError: it fails there, or its process ends or takes too long.
    """
    asked = None if engine is None else asdict(engine)
    request = {"spec": spec, "source": source, "shape": shape, "threads": threads, "model": model, "engine": asked}
    try:
        answer = run_in_child(__name__, request, timeout_s=TIMEOUT_S)
    except ChildError as error:
        raise RunnerError(f"{spec}: memory could not be measured: its process {error}") from error
    except (FcnDeployError, OSError) as error:
        raise RunnerError(f"{spec}: memory could not be measured: {error}") from error
    return decode(Memory, answer, spec, RunnerError)


def _measure_here(
    spec: str, source: str, shape: Shape, threads: int | None, model: str | None, engine: dict[str, Any] | None
) -> Memory:
    import importlib

    import numpy as np

    from fcn_deploy.models.network import load_network
    from fcn_deploy.runners.registry import device_of, entry, open_runner

    importlib.import_module(entry(spec).package)
    free_before = _free_device_bytes(spec)
    baseline = peak_bytes()
    options = None if engine is None else TrtOptions(**engine)
    load = partial(load_network, source, model=model)
    with open_runner(spec, source, threads=threads, load=load, engine=options) as runner:
        # On a GPU the second run of a shape may open what all later ones run in, with memory of its own.
        runner.tune_at_once = True
        runner.score_check = None  # the labels of a grey image may be of one class; a second network would be counted
        for _ in range(1 if device_of(spec) == "cpu" else 2):
            runner.infer({"image": np.full((*shape, 3), 127, np.uint8)})
        free_after = _free_device_bytes(spec)
        taken = None if free_before is None or free_after is None else max(0, free_before - free_after)
        return Memory(peak_bytes(), baseline, taken)


def _free_device_bytes(spec: str) -> int | None:
    """Return the free memory of the spec's GPU; allocators keep what they took, so the difference to before is a peak.

    As CUDA counts it, through PyTorch; where PyTorch has no CUDA as NVML does, which counts the CUDA context too.
    """
    from fcn_deploy.benchmark.timing.machine import free_bytes
    from fcn_deploy.runners.registry import device_of, gpu_of

    if device_of(spec) == "cpu":
        return None
    gpu = gpu_of(spec) or 0
    try:
        import torch

        return int(torch.cuda.mem_get_info(gpu)[0]) if torch.cuda.is_available() else free_bytes(gpu)
    except (ImportError, RuntimeError):
        return free_bytes(gpu)


if __name__ == "__main__":
    answer_parent(lambda request, send: _measure_here(**request))
