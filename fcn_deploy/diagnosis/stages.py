"""Open the stages of a deployment, from the reference to the engine, each with its runner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import onnx_ir as ir

from fcn_deploy.audit.arithmetic import has_quantisation
from fcn_deploy.card import ModelCard
from fcn_deploy.diagnosis.compared_layers import HALVES
from fcn_deploy.engine.sidecar import read_plan
from fcn_deploy.errors import EngineError, GraphError, MissingDependencyError, RunnerError, UnknownNameError
from fcn_deploy.graph.load import find_card, load_graph
from fcn_deploy.model_file import file_of, kind_of, require_file
from fcn_deploy.runners.base import Runner
from fcn_deploy.runners.registry import default_runner, open_runner
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.vocabulary import LABELS, LAYER_PRECISIONS, LOGITS

if TYPE_CHECKING:
    from torch import nn

StageKind = Literal["pytorch", "onnx", "engine"]
StageStatus = Literal["ok", "skipped", "failed"]
UNKNOWN = "unknown"


@dataclass
class Stage:
    """One stage of the deployment: a file, and a runner for it.

    Attributes:
        name: as tables have it; no two of a chain are alike.
        claim: the narrowest type in it, "fp32", "bf16", "fp16", "fp8" or "int8"; "unknown" for an engine that does not
            say.
        card: its model card, None where it holds none.
        network: the PyTorch network; None for other kinds.
        status, reason: ok, or why it did not run.
    """

    name: str
    kind: StageKind
    source: str
    claim: str
    card: ModelCard | None
    network: nn.Module | None = None
    runner: Runner | None = None
    status: StageStatus = "ok"
    reason: str = ""

    @property
    def runner_name(self) -> str:
        """The runner that opens it."""
        return default_runner("checkpoint" if self.kind == "pytorch" else self.kind)


def open_chain(sources: Sequence[str], *, model: str | None = None, progress: Progress = SILENT) -> list[Stage]:
    """Return the stages of `sources`, in order; an FP32 ONNX file at the head is also run as PyTorch, before itself.

    Args:
        sources: "demo", checkpoints, recipes, .onnx files and engines; the first is the reference.
        model: what a checkpoint holds where its keys leave a choice.

    Raises:
        CheckpointError, GraphError, EngineError: a file is missing or cannot be read.
        GraphError: there is one stage only, so nothing to compare.
    """
    stages = [_stage(source, model, progress) for source in sources]
    if stages and stages[0].kind == "onnx" and stages[0].claim == "fp32":
        stages = [*_rebuilt(stages[0], progress), *stages]
    if len(stages) < 2:
        raise GraphError(
            f"{', '.join(sources) or 'nothing'} is one stage alone; give the files made from it as well, in order"
        )
    _name_apart(stages)
    return stages


def open_stages(stages: Sequence[Stage], stack: ExitStack, threads: int | None = None) -> None:
    """Give each stage its runner, which `stack` closes; one that this machine cannot run is skipped with the reason.

    Raises:
        GraphError, CheckpointError: a file that no machine could run.
    """
    for stage in stages:
        outputs = (LABELS, LOGITS) if stage.kind == "pytorch" else (LABELS,)
        try:
            stage.runner = stack.enter_context(
                open_runner(stage.runner_name, stage.source, outputs=outputs, threads=threads, load=_loader(stage))
            )
        except (RunnerError, MissingDependencyError, EngineError, UnknownNameError) as error:
            stage.status, stage.reason = "skipped", str(error)


def _loader(stage: Stage) -> Callable[[], tuple[nn.Module, ModelCard]] | None:
    network, card = stage.network, stage.card
    return None if network is None or card is None else lambda: (network, card)


def _stage(source: str, model: str | None, progress: Progress) -> Stage:
    require_file(source)
    kind, path = kind_of(source), file_of(source)
    if kind == "engine":
        return _engine(path)
    if kind == "onnx":
        graph = load_graph(path)
        return Stage(path.name, kind, source, _claim(graph), find_card(graph, path))
    with ModelSource(source, progress, model=model) as opened:
        network, card = opened.network()
    return Stage(Path(source).name, "pytorch", source, "fp32", card, network)


def _engine(path: Path) -> Stage:
    sidecar = read_plan(path)[1]
    if sidecar is None:
        return Stage(path.name, "engine", str(path), UNKNOWN, None)
    narrowest = sidecar.precision.partition("+")[0]
    return Stage(path.name, "engine", str(path), narrowest if narrowest in LAYER_PRECISIONS else UNKNOWN, sidecar.card)


def _claim(graph: ir.Model) -> str:
    types = {value.dtype for value in (*graph.graph.initializers.values(), *graph.graph.inputs)}
    if has_quantisation(graph):
        return "fp8" if ir.DataType.FLOAT8E4M3FN in types else "int8"
    return next((word for dtype, word in HALVES.items() if dtype in types), "fp32")


def _rebuilt(stage: Stage, progress: Progress) -> list[Stage]:
    """Return an ONNX file's weights and card as a PyTorch stage; nothing, with a notice, if it holds no card."""
    try:
        with ModelSource(stage.source) as opened:
            network, card = opened.network()
    except GraphError as error:
        progress.say(f"no PyTorch stage: {error}")
        return []
    return [Stage(f"PyTorch of {stage.name}", "pytorch", stage.source, "fp32", card, network)]


def _name_apart(stages: list[Stage]) -> None:
    """Use paths as names for files of one name in two folders."""
    names = [stage.name for stage in stages]
    for stage in stages:
        if names.count(stage.name) > 1:
            stage.name = stage.source
