"""An ONNX Runtime session on exactly the provider that was asked for, or the reason why there is none."""

from __future__ import annotations

import contextlib
import io
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from fcn_deploy.errors import GraphError, MissingDependencyError, RunnerError, UnknownNameError, first_line, one_line
from fcn_deploy.graph.session import load_onnxruntime, quiet_options
from fcn_deploy.model_file import require_file
from fcn_deploy.runners.ort.options import CUDA, RTX, TENSORRT, ProviderOptions, provider_option_texts
from fcn_deploy.system.optional import require
from fcn_deploy.system.process import redirected

SUFFIX = "ExecutionProvider"
# Providers over CUDA libraries, which may lie in Python packages that only `preload_dlls` finds.
CUDA_FAMILY = (CUDA, TENSORRT, RTX)
# What the parts of a graph that a provider does not take fall to before the CPU.
SECOND = {TENSORRT: ("CUDA" + SUFFIX,)}
# Packages that load the libraries a provider is linked with when they are imported.
LIBRARIES = {TENSORRT: "tensorrt"}


@dataclass(frozen=True)
class OpenSession:
    """A session, notes on what it does otherwise than one might think, and where its bound buffers may lie."""

    session: Any
    notes: tuple[str, ...]
    buffers: str


def open_session(
    name: str, path: Path, provider: str, threads: int | None, asked: ProviderOptions | None = None
) -> OpenSession:
    """Return a session for `path` on `provider` ("cpu", "cuda", "tensorrt", "nvtensorrtrtx", ...) and on no other.

    Raises:
        UnknownNameError: onnxruntime knows no such provider.
        RunnerError: this build or this machine does not have it, it does not have what is `asked`, or it took no part
            of the graph.
        GraphError: the file is missing or onnxruntime cannot read it.
    """
    ort = load_onnxruntime()
    asked = asked or ProviderOptions()
    plugin = find_plugin() if provider == RTX and RTX not in short_names(ort.get_available_providers()) else None
    wanted = _full_name(ort, name, provider) if plugin is None else plugin.get_ep_name()
    require_file(path)
    texts, notes = provider_option_texts(provider, path, asked)
    if provider == "cpu":
        return OpenSession(_create(ort, path, threads, [wanted]), (), "cpu")
    with captured_output() as printed:
        _load_libraries(ort, provider)
        try:
            if plugin is not None:
                device = plugin_device(ort, plugin, int(texts.pop("device_id")))
                session = _create(ort, path, threads, device=device, texts=texts)
            else:
                second = [(other, {"device_id": texts["device_id"]}) for other in SECOND.get(provider, ())]
                session = _create(ort, path, threads, [(wanted, texts), *second])
        except GraphError as error:
            raise RunnerError(f"{name}: {wanted} did not start: {_reason(printed()) or error}") from error
        if session.get_providers()[0] != wanted:
            reason = _reason(printed()) or "onnxruntime did not say why"
            raise RunnerError(f"{name}: {wanted} did not start: {reason}; available here: cpu")
    notes += _placement(name, session, wanted)
    if plugin is not None:
        return OpenSession(session, (*notes, "copies to and from the GPU are timed with the run"), "cpu")
    return OpenSession(session, notes, "cuda" if provider in CUDA_FAMILY else "cpu")


def short_names(providers: list[str]) -> list[str]:
    """["CPUExecutionProvider", ...] -> ["cpu", ...]"""
    return [provider.removesuffix(SUFFIX).lower() for provider in providers]


def _full_name(ort: ModuleType, name: str, provider: str) -> str:
    providers: list[str] = ort.get_all_providers()
    known = dict(zip(short_names(providers), providers, strict=True))
    if provider not in known:
        raise UnknownNameError.of("onnxruntime provider", provider, known)
    available = ort.get_available_providers()
    if known[provider] not in available:
        fix = f"; try: pip install {PLUGIN.replace('_', '-')}" if provider == RTX else ""
        raise RunnerError(
            f"{name}: onnxruntime {ort.__version__} was built without {known[provider]}; "
            f"it has: {', '.join(short_names(available))}{fix}"
        )
    return known[provider]


def _load_libraries(ort: ModuleType, provider: str) -> None:
    """Load libraries from Python packages, which are on no search path; the provider then finds them by name."""
    if provider in CUDA_FAMILY and hasattr(ort, "preload_dlls"):
        ort.preload_dlls()
    if provider in LIBRARIES:
        with contextlib.suppress(MissingDependencyError):
            require(LIBRARIES[provider])


def _create(
    ort: ModuleType,
    path: Path,
    threads: int | None,
    providers: Sequence[Any] | None = None,
    *,
    device: Any = None,
    texts: Mapping[str, str] | None = None,
) -> Any:
    """Return a session on `providers`, or on a plugin's `device` with its options."""
    options = quiet_options(ort)
    if threads is not None:
        options.intra_op_num_threads = threads
    # Threads that spin between two calls take the cores from whatever runs next: a PyTorch inference of 10 ms
    # measured right after an ONNX Runtime one took 200 ms. They may spin within a call, as ever.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    # A pattern of the first run's allocations is served as one block from the second run on, beside what the first
    # took: a 1024x1024 inference of full-width FCN-8s then holds 2.5 GB in place of 1.5, and is no faster.
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    try:
        if device is not None:
            options.add_provider_for_devices([device], dict(texts or {}))
        # Without enable_fallback=0 a provider that fails is replaced by the CPU with a printed remark.
        return ort.InferenceSession(str(path), options, providers=providers, enable_fallback=0)
    except Exception as error:  # onnxruntime's exceptions have no base of their own
        from fcn_deploy.graph.load import load_graph  # reads with onnx, which ONNX Runtime does without

        load_graph(path)  # a damaged file gets the message that it gets everywhere
        raise GraphError(f"{path}: onnxruntime cannot use it: {reason_of(error)}") from error


def _placement(name: str, session: Any, wanted: str) -> tuple[str, ...]:
    """Return which nodes other providers got; RunnerError if `wanted` got none."""
    if not hasattr(session, "get_provider_graph_assignment_info"):  # onnxruntime < 1.24
        return ()
    subgraphs = session.get_provider_graph_assignment_info()
    placed = {part.ep_name: Counter[str]() for part in subgraphs}
    for part in subgraphs:
        placed[part.ep_name].update(node.op_type for node in part.get_nodes())
    if not placed.get(wanted):
        raise RunnerError(f"{name}: {wanted} took no node of the graph; all of it would run elsewhere")
    total = sum(sum(nodes.values()) for nodes in placed.values())
    return tuple(
        f"{sum(nodes.values())} of {total} nodes run on {short_names([provider])[0]}: "
        + ", ".join(f"{operator} {count}" for operator, count in nodes.most_common(4))
        for provider, nodes in placed.items()
        if provider != wanted
    )


def reason_of(error: BaseException) -> str:
    """Return an onnxruntime message in one line, without its '[ONNXRuntimeError] : 1 : FAIL :' prefix."""
    return one_line(re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", str(error).strip()) or error)


def _reason(printed: str) -> str:
    """Return the loader's message in what onnxruntime printed ("libcublasLt.so.13: cannot open shared object file")."""
    for pattern in (r"with error: (.+)", r"Failed to create \w+\. (.+)", r"EP Error (.+)"):
        match = re.search(pattern, printed)
        if match:
            words: str = re.sub(r"\x1b\[[0-9;]*m", "", match.group(1))
            return words.strip()[:300]
    return ""


@contextlib.contextmanager
def captured_output() -> Iterator[Callable[[], str]]:
    """Keep what C++ and Python code prints inside the block; the value yielded reads it.

    onnxruntime gives the reason why a provider does not load only on the process's standard error.
    """
    python = io.StringIO()
    with tempfile.TemporaryFile() as sink, contextlib.ExitStack() as stack:
        sys.stdout.flush()
        sys.stderr.flush()
        stack.enter_context(contextlib.redirect_stdout(python))
        stack.enter_context(contextlib.redirect_stderr(python))
        for descriptor in (1, 2):
            stack.enter_context(redirected(sink, descriptor))

        def printed() -> str:
            sink.seek(0)
            return python.getvalue() + sink.read().decode(errors="replace")

        yield printed


# TensorRT for RTX's provider: https://nvidia.github.io/TensorRT-RTX-EP-ABI/installation.html
PLUGIN = "onnxruntime_ep_nv_tensorrt_rtx"


def find_plugin() -> ModuleType | None:
    """Return the package of TensorRT for RTX's provider, None if it is not there or does not load."""
    try:
        return require(PLUGIN)
    except MissingDependencyError:
        return None


def plugin_device(ort: ModuleType, plugin: ModuleType, device_id: int) -> Any:
    """Return the GPU number `device_id` as the plugin offers it.

    Raises:
        RunnerError: the plugin does not load, or it offers no such GPU; in onnxruntime's words.
    """
    _register(ort, plugin)
    devices = [device for device in ort.get_ep_devices() if device.ep_name == plugin.get_ep_name()]
    if device_id >= len(devices):
        raise RunnerError(f"{plugin.get_ep_name()} offers {len(devices)} GPUs and device_id is {device_id}")
    return devices[device_id]


@cache
def _register(ort: ModuleType, plugin: ModuleType) -> None:
    """Register the library once per process."""
    try:
        ort.register_execution_provider_library(plugin.get_ep_name(), plugin.get_library_path())
    except Exception as error:  # onnxruntime's exceptions have no base of their own
        reason = str(error).partition(" with error: ")[2] or str(error)
        raise RunnerError(f"{plugin.get_ep_name()} did not start: {first_line(reason)}") from error
