"""Peak memory of a runner: that of a process which opens this runner alone and runs one batch.

Measured in a child process, because within one process the first runner's memory stays with the allocators and every
later one would look cheap, or dear.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import partial

from fcn_deploy.errors import RunnerError
from fcn_deploy.system.process import child_environment, peak_bytes
from fcn_deploy.vocabulary import Shape

TIMEOUT_S = 600
MIB = 1 << 20


@dataclass(frozen=True)
class Memory:
    """Bytes of resident memory of a process with this runner alone.

    Attributes:
        peak_bytes: the highest, from its start, through loading, to the end of one inference.
        baseline_bytes: when the runner's packages were imported and no model was loaded.
        device_bytes: GPU memory taken from opening to after the inference; None where no GPU is used or CUDA's
            own count cannot be read.
    """

    peak_bytes: int
    baseline_bytes: int
    device_bytes: int | None = None


def measure_memory(
    spec: str, source: str, shape: Shape, *, threads: int | None = None, model: str | None = None
) -> Memory:
    """Run `spec` on `source` once, on a grey batch of `shape` (N, H, W), in a fresh process.

    Args:
        model: what a checkpoint holds where its keys leave a choice.

    Raises:
        RunnerError: the child failed; its last line is in the message.
    """
    request = json.dumps({"spec": spec, "source": source, "shape": shape, "threads": threads, "model": model})
    environment = child_environment()
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__, request],
            capture_output=True, text=True, timeout=TIMEOUT_S, env=environment, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise RunnerError(f"{spec}: one inference took more than {TIMEOUT_S} s") from error
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        reason = (done.stderr.strip().splitlines() or [_ending(done.returncode)])[-1]
        raise RunnerError(f"{spec}: memory could not be measured: {reason}")
    return Memory(**json.loads(lines[-1]))


def _ending(code: int) -> str:
    return f"the process was ended by signal {-code}" if code < 0 else f"exit code {code}"


def _measure_here(spec: str, source: str, shape: Shape, threads: int | None, model: str | None) -> Memory:
    import importlib

    import numpy as np

    from fcn_deploy.models.network import load_network
    from fcn_deploy.runners.registry import entry, open_runner

    importlib.import_module(entry(spec).package)
    free_before = _free_device_bytes(spec)
    baseline = peak_bytes()
    with open_runner(spec, source, threads=threads, load=partial(load_network, source, model=model)) as runner:
        runner.infer({"image": np.full((*shape, 3), 127, np.uint8)})
        free_after = _free_device_bytes(spec)
        taken = None if free_before is None or free_after is None else max(0, free_before - free_after)
        return Memory(peak_bytes(), baseline, taken)


def _free_device_bytes(spec: str) -> int | None:
    """Free memory of the first GPU, whoever holds the rest: allocators keep their peak, so it is one.

    As CUDA counts it, through PyTorch; where PyTorch has no CUDA as NVML does, which counts the CUDA context too.
    """
    from fcn_deploy.benchmark.timing.gpu_state import free_bytes
    from fcn_deploy.runners.registry import device_of

    if device_of(spec) == "cpu":
        return None
    try:
        import torch

        return int(torch.cuda.mem_get_info()[0]) if torch.cuda.is_available() else free_bytes()
    except (ImportError, RuntimeError):
        return free_bytes()


def main() -> None:
    """The child: one JSON request as argument, one JSON line on standard output."""
    request = json.loads(sys.argv[1])
    memory = _measure_here(
        request["spec"], request["source"], tuple(request["shape"]), request["threads"], request["model"]
    )
    print(json.dumps(memory.__dict__))


if __name__ == "__main__":
    main()
