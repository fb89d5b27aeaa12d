"""Connect to Ray, and divide the CPUs and GPUs of its machines among worker processes."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fcn_deploy.errors import RunnerError, first_line
from fcn_deploy.model_file import kind_of
from fcn_deploy.prediction.options import EXTRA_IO_THREADS, PredictOptions
from fcn_deploy.runners.registry import default_runner, device_of
from fcn_deploy.sources.lanes import USUAL_LANES
from fcn_deploy.system.arguments import Positive, checked_fields
from fcn_deploy.system.optional import require
from fcn_deploy.system.process import redirected, usable_cores

# Read when Ray is imported: no telemetry, and its C++ half logs fatal errors only.
ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
LOCAL = "local"
CONNECT_TIMEOUT_S = 10
STORE_BYTES = 128 << 20  # of a cluster that is started here: names and results travel, images do not


@checked_fields
@dataclass(frozen=True)
class Cluster:
    """Which cluster, and how many actors of it.

    Attributes:
        address: "HOST:PORT" of its head, "auto", or "local" to start one on this machine; None takes RAY_ADDRESS or a
            cluster that runs here, and starts one where there is neither.
        actors: processes that hold the model; None for one a device: each GPU, or without GPUs each machine.
    """

    address: str | None = None
    actors: Positive | None = None


@dataclass(frozen=True)
class WorkerResources:
    """What each of `actors` actors reserves."""

    actors: int
    cpus: int
    gpus: int

    def options(self, options: PredictOptions) -> PredictOptions:
        """Return `options` for one actor: as many threads as it has cores, unless the user chose a number."""
        lanes = options.lanes
        if not self.gpus and options.tiling is None and lanes is None:
            lanes = min(USUAL_LANES, max(self.cpus // (options.threads or 1), 1))
        threads = options.threads if self.gpus or options.threads else max(self.cpus // (lanes or 1), 1)
        workers = options.workers if self.gpus or options.workers else self.cpus + EXTRA_IO_THREADS
        return replace(options, lanes=lanes, threads=threads, workers=workers)


def divide_resources(options: PredictOptions, actors: int | None, nodes: list[dict[str, float]]) -> WorkerResources:
    """Return what each actor gets, on machines with the resources `nodes` (Ray's "CPU" and "GPU").

    Raises:
        RunnerError: there are fewer resources than that takes.
    """
    cores = [int(node.get("CPU", 0)) for node in nodes if node.get("CPU", 0) >= 1]
    if not cores:
        raise RunnerError("no machine of the cluster has a free CPU for Ray; start its nodes with --num-cpus")
    spec = options.runner or default_runner(kind_of(options.model))
    if device_of(spec) == "cpu":
        return _cpu_resources(actors, cores)
    gpus = sum(int(node.get("GPU", 0)) for node in nodes)
    if gpus < (actors or 1):
        raise RunnerError(f"{spec} needs a GPU per actor and the cluster has {gpus}; lower --actors, or add machines")
    return WorkerResources(actors or gpus, 1, 1)


def _cpu_resources(actors: int | None, cores: list[int]) -> WorkerResources:
    """Give each actor as many cores as still let all `actors` fit."""
    wanted = actors or len(cores)
    for cpus in range(max(cores), 0, -1):
        if sum(count // cpus for count in cores) >= wanted:
            return WorkerResources(wanted, cpus, 0)
    raise RunnerError(f"{wanted} actors need a CPU each and the cluster has {sum(cores)}; lower --actors")


@contextmanager
def ray_session(cluster: Cluster) -> Iterator[Any]:
    """Connect to Ray for the duration of the block; a cluster that had to be started ends with it.

    What Ray prints of lost workers goes to standard error, where it spoils no result.

    Raises:
        MissingDependencyError: Ray Data is not installed.
        RunnerError: there is no cluster at that address, or none can be started.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    ray = require("ray")
    require("ray.data")
    before = signal.getsignal(signal.SIGTERM)
    with redirect_stdout(sys.stderr):
        try:
            _connect(ray, cluster)
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, before)  # Ray's own gives another exit code
            _silence_ray(ray)
            yield ray
        finally:
            ray.shutdown()


def _connect(ray: Any, cluster: Cluster) -> None:
    """Connect to the given cluster; without one, to a running cluster or else a new one."""
    address = cluster.address or os.environ.get("RAY_ADDRESS")
    given: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    cpus = max(usable_cores(), cluster.actors or 1)
    new = {"num_cpus": cpus, "include_dashboard": False, "object_store_memory": STORE_BYTES}
    try:
        # Ray's C++ half logs its log level there; errors are raised.
        with Path(os.devnull).open("w") as nowhere, redirected(nowhere, 2):
            if address not in (None, LOCAL):
                _check_reachable(address)
                ray.init(address, **given)
                return
            if address is None:
                with suppress(ConnectionError):
                    ray.init("auto", **given)
                    return
            ray.init(LOCAL, **given, **new)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise RunnerError(f"no Ray cluster at {address or 'this machine'}: {first_line(error)}") from error


def _check_reachable(address: str) -> None:
    """Raise OSError or ValueError at once if nothing answers; Ray itself would try for minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        raise ValueError("expected HOST:PORT, auto, or local")
    socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_TIMEOUT_S).close()


def _silence_ray(ray: Any) -> None:
    """Turn off Ray's own progress bars and its logging of errors that are raised anyway."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
