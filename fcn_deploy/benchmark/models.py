"""Hold the files of a benchmark: what each is called, which rows it has, and that they can share one table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from fcn_deploy.benchmark.commands import is_made, made_name
from fcn_deploy.benchmark.record import types as rec
from fcn_deploy.benchmark.row_runs import RowRun
from fcn_deploy.benchmark.runner_specs import RunnerSpec
from fcn_deploy.card import ModelCard
from fcn_deploy.data.options import check_same_classes
from fcn_deploy.engine.sidecar import sidecar_path
from fcn_deploy.errors import DataError, FcnDeployError, GraphError
from fcn_deploy.model_file import kind_of
from fcn_deploy.network_size import network_size_text, size_words
from fcn_deploy.runners.base import Runner
from fcn_deploy.runners.registry import REFERENCE, default_runner, is_plain
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.sources.original import original_of
from fcn_deploy.system.files import resolved
from fcn_deploy.system.progress import Progress
from fcn_deploy.system.serialization.plain import plain


@dataclass(frozen=True)
class BenchModel:
    """One file with its rows.

    Attributes:
        label: what its rows are called by; "" where it is the only file.
        card: None for a file without one.
    """

    source: ModelSource
    label: str
    specs: tuple[RunnerSpec, ...]
    card: ModelCard | None

    @property
    def stem(self) -> str:
        """What the names of the files that are made of it begin with."""
        return (
            self.source.stem
            if self.source.network_size is not None
            else self.label.replace("/", "-") or self.source.stem
        )

    def made_names(self) -> Iterator[str]:
        """Yield the name of every file that its rows need made, with the sidecars of engines."""
        for spec in self.specs:
            if is_made(self.source, spec):
                name = made_name(self.stem, spec)
                yield from (name, sidecar_path(Path(name)).name) if spec.is_engine else (name,)

    def describe(self) -> rec.BenchmarkedModel:
        """Return the file as the record has it."""
        sha256, size_bytes = self.source.digest()
        card = None if self.card is None else plain(self.card)
        return rec.BenchmarkedModel(self.source.name, sha256, size_bytes, card, self.label)


@dataclass(frozen=True)
class OpenedReference:
    """What labels are compared with: a row's own runner, or one that has no row; `margins`: whether it has logits."""

    runner: Runner
    spec: str
    file: str = ""

    @property
    def margins(self) -> bool:
        return self.spec.partition(":")[0] == REFERENCE


def labels_of(paths: Sequence[Path]) -> tuple[str, ...]:
    """Return the shortest name of each file that no other has: its stem, its name, then with the folders above it.

    A single file has none.
    """
    if len(paths) < 2:
        return ("",) * len(paths)
    wholes = [resolved(path) for path in paths]
    deepest = max(len(path.parts) for path in wholes)
    names = [
        ["/".join((*_above(path, depth), last)) for depth in range(deepest) for last in (path.stem, path.name)]
        for path in wholes
    ]
    labels = []
    for place, own in enumerate(names):
        others = names[:place] + names[place + 1 :]
        free = (name for name, *taken in zip(own, *others, strict=True) if name not in taken)
        labels.append(next(free, own[-1]))
    return tuple(labels)


def sized_models(base: BenchModel, sizes: Sequence[str], stack: ExitStack, progress: Progress) -> list[BenchModel]:
    """Return the model at each of these network sizes but its own, with the same rows; `stack` removes their files.

    Raises:
        ShapeError, ExportError: not a network size, or one below the network's stride.
        GraphError, EngineError: the file cannot get another.
    """
    own = None if base.card is None else base.card.network_size
    wanted = [text for text in dict.fromkeys(map(network_size_text, sizes)) if text != own]
    found = []
    for text in wanted:
        source = ModelSource(base.source.text, progress, model=base.source.model, network_size=text)
        label = f"{base.label} at {size_words(text)}"
        found.append(BenchModel(stack.enter_context(source), label, base.specs, source.card()))
    return found


def _above(path: Path, depth: int) -> tuple[str, ...]:
    return path.parent.parts[-depth:] if depth else ()


def open_models(
    asked: Sequence[tuple[str, tuple[RunnerSpec, ...]]],
    model: str | None,
    sized: bool,
    stack: ExitStack,
    progress: Progress,
) -> list[BenchModel]:
    """Find every file and read its card.

    Args:
        asked: files with their rows.
        model: what a checkpoint holds.
        sized: whether the file, which is then the only one, gets rows of other network sizes.

    Raises:
        DataError: they have other classes, or there are several to be sized.
    """
    if sized and len(asked) > 1:
        raise DataError(
            f"--sizes compares the sizes of one network, and there are {len(asked)} files; give one, or files of each "
            "size (export --network-size) without it"
        )
    sources = []
    for text, _ in asked:
        named = None if len(asked) > 1 and kind_of(text) in ("onnx", "engine") else model
        sources.append(stack.enter_context(ModelSource(text, progress, model=named)))
    labels = (sources[0].stem,) if sized else labels_of([source.path for source in sources])
    models = [
        BenchModel(source, label, specs, source.card())
        for source, label, (_, specs) in zip(sources, labels, asked, strict=True)
    ]
    check_models(models)
    return models


def check_models(models: Sequence[BenchModel]) -> None:
    """Raise DataError, with both lists, if two files have other classes."""
    carded = [(model.source.text, model.card) for model in models if model.card is not None]
    for text, card in carded[1:]:
        check_same_classes(*carded[0], text, card)


def open_reference(
    model: BenchModel, runs: Sequence[RowRun], threads: int, stack: ExitStack
) -> tuple[OpenedReference | None, str]:
    """Return what labels and times are compared with; None and why if there is nothing.

    That is the first plain PyTorch row of the first file. Without one it is PyTorch next to the rows; among several
    files the file's first row, because the others shall have a speed-up. A single file that PyTorch cannot run is
    compared with the FP32 file that it was made from, and an adopted one with its own row of ONNX Runtime.
    """
    own = [run for run in runs if run.label == model.label and run.runner is not None]
    plain_rows = [run for run in own if run.spec.runner.partition(":")[0] == REFERENCE and is_plain(run.spec.runner)]
    if model.label:
        plain_rows += [run for run in own if run.spec.precision is None and is_plain(run.spec.runner)]
    for run in plain_rows:
        assert run.runner is not None
        return OpenedReference(run.runner, run.spec.text, run.label), ""
    try:
        return OpenedReference(stack.enter_context(model.source.open(REFERENCE, threads=threads)), REFERENCE), ""
    except FcnDeployError as error:
        reason = str(error)
    try:
        return _without_pytorch(model, own, reason, threads, stack)
    except FcnDeployError as error:
        return None, str(error)


def _without_pytorch(
    model: BenchModel, own: Sequence[RowRun], reason: str, threads: int, stack: ExitStack
) -> tuple[OpenedReference | None, str]:
    """Open what takes the place of PyTorch; None and `reason` if there is nothing."""
    onnx = default_runner("onnx")
    path, name = original_of(model.source, model.card)
    if not name and model.card is not None and model.card.is_foreign:
        row = next((run for run in own if run.spec.text == onnx and run.runner is not None), None)
        if row is not None and row.runner is not None:
            return OpenedReference(row.runner, onnx), ""
        return OpenedReference(stack.enter_context(model.source.open(onnx, threads=threads)), onnx), ""
    if path is None:
        return None, f"{reason}; --reference names the file that it was made from, {name}" if name else reason
    original = stack.enter_context(ModelSource(path))
    spec = REFERENCE
    try:
        runner = stack.enter_context(original.open(spec, threads=threads))
    except GraphError:  # adopted, or of another tool
        spec = onnx
        runner = stack.enter_context(original.open(spec, threads=threads))
    said = (
        f"compared with {name}, from which {model.source.path.name} was made, by {spec}; for its times too: --reference"
    )
    return OpenedReference(runner, spec, path.stem), said
