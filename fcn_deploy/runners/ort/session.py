"""An ONNX Runtime session on exactly the provider that was asked for, or the reason why there is none."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from fcn_deploy.card import CARD_KEY, ModelCard
from fcn_deploy.errors import GraphError, MissingDependencyError, RunnerError, UnknownNameError
from fcn_deploy.graph.cpu.budget import MemoryBudget
from fcn_deploy.graph.cpu.opening import for_kernels
from fcn_deploy.graph.ports import GraphIO, describe_io
from fcn_deploy.graph.precheck.scan import scan
from fcn_deploy.graph.session import (
    load_onnxruntime,
    warnings_printed,
)
from fcn_deploy.runners.ort.creation import create, open_on_cpu
from fcn_deploy.runners.ort.layouts import Layouts, Texts, layout_text, layouts_for, named
from fcn_deploy.runners.ort.options import (
    CUDA,
    RTX,
    TENSORRT,
    GraphFacts,
    ProviderOptions,
    provider_option_texts,
    read_facts,
)
from fcn_deploy.runners.ort.placement import SUFFIX, placement, short_names
from fcn_deploy.runners.ort.plugin import PLUGIN, find_plugin, plugin_device
from fcn_deploy.runners.ort.printed import captured_output, printed_reason
from fcn_deploy.system.optional import require

# Providers over CUDA libraries, which may lie in Python packages that only `preload_dlls` finds.
CUDA_FAMILY = (CUDA, TENSORRT, RTX)
# What the parts of a graph that a provider does not take fall to before the CPU.
SECOND = {TENSORRT: ("CUDA" + SUFFIX,)}
# Packages that load the libraries a provider is linked with when they are imported.
LIBRARIES = {TENSORRT: "tensorrt"}


@dataclass(frozen=True)
class OpenSession:
    """A session.

    Attributes:
        notes: what it does otherwise than one might think.
        buffers: where its bound buffers may lie.
        layouts: options that sessions may have in addition to the provider's own.
        memory: what inferences have to fit in, on a CPU.
        files: what it was read from, where sessions for one shape may be opened later.
    """

    session: Any
    notes: tuple[str, ...]
    buffers: str
    layouts: Layouts = field(default_factory=Layouts)
    files: tuple[Path, ...] = ()
    memory: MemoryBudget | None = None


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
    scan(path)
    texts, notes = provider_option_texts(provider, path, asked)
    facts = _facts(path) if provider == CUDA or asked.fixed_shapes else None
    files = () if facts is None else facts.files
    if provider == "cpu":
        session, notes, memory = open_on_cpu(ort, path, threads, wanted)
        return OpenSession(session, notes, "cpu", files=files, memory=memory)
    layouts = layouts_for(facts, asked.options)
    with captured_output() as printed, warnings_printed(ort):
        _load_libraries(ort, provider)
        try:
            if plugin is not None:
                device = plugin_device(ort, plugin, int(texts.pop("device_id")))
                session = create(ort, path, threads, device=device, texts=texts)
            else:
                second = [(other, {"device_id": texts["device_id"]}) for other in SECOND.get(provider, ())]
                layouts, refused, session = _laid_out(
                    layouts,
                    asked.options,
                    lambda layout: create(ort, path, threads, [(wanted, texts | layout), *second]),
                )
                notes += refused
        except GraphError as error:
            raise RunnerError(f"{name}: {wanted} did not start: {printed_reason(printed()) or error}") from error
        if session.get_providers()[0] != wanted:
            reason = printed_reason(printed()) or "onnxruntime did not say why"
            raise RunnerError(f"{name}: {wanted} did not start: {reason}; available here: cpu")
    notes += (*placement(name, session, wanted), *layout_text(layouts.general[0]))
    if plugin is not None:
        return OpenSession(session, (*notes, "copies to and from the GPU are timed with the run"), "cpu")
    return OpenSession(session, notes, "cuda" if provider in CUDA_FAMILY else "cpu", layouts, files)


def _facts(path: Path) -> GraphFacts | None:
    try:
        return read_facts(path)
    except GraphError:  # a message of the file comes from where it is opened, or where its ports are read
        return None


def _laid_out(
    layouts: Layouts, asked: Texts, make: Callable[[dict[str, str]], Any]
) -> tuple[Layouts, tuple[str, ...], Any]:
    """Return the layouts that this onnxruntime knows, a note on those that it does not, and the session.

    Raises:
        GraphError: nor does it take the options that were asked for alone.
    """
    try:
        return layouts, (), make(dict(layouts.general[0]))
    except GraphError as error:
        if layouts.general[0] == asked:
            raise
        session = make(dict(asked))
        return Layouts((asked,), (asked,)), (f"without {named(layouts.general[0])}: {error}",), session


def open_session_of_sizes(
    name: str,
    path: Path,
    provider: str,
    threads: int | None,
    asked: ProviderOptions,
    sizes: Mapping[str, int],
    texts: Mapping[str, str],
) -> Any:
    """Return a further session for what `open_session` opened, in which the input's dims are fixed.

    The shape arithmetic of the graph is then done at opening and leaves no node behind. Nothing that is printed is
    captured: other threads may be printing results.

    Args:
        sizes: name of a dim of the input -> its size.
        texts: options in addition to the provider's own.

    Raises:
        RunnerError: it cannot be opened so, in onnxruntime's words.
    """
    ort = load_onnxruntime()
    wanted = _full_name(ort, name, provider)
    own = provider_option_texts(provider, path, asked)[0] | dict(texts)
    chosen = [wanted] if provider == "cpu" else [(wanted, own)]
    try:
        session = create(
            ort, path, threads, chosen, model=for_kernels(path)[0] if provider == "cpu" else None, sizes=sizes
        )
    except GraphError as error:
        raise RunnerError(str(error).removeprefix(f"{path}: ")) from error
    if session.get_providers()[0] != wanted:
        raise RunnerError(f"{wanted} did not start")
    return session


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


def read_io(source: str, session: Any) -> GraphIO:
    """Return the ports of a session's graph; GraphError if they are not a segmentation network's."""
    text = session.get_modelmeta().custom_metadata_map.get(CARD_KEY)
    card = None if text is None else ModelCard.from_json(text, source)
    return describe_io(source, session.get_inputs(), session.get_outputs(), card)
