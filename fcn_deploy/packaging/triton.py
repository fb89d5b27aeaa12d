"""A model repository that Triton Inference Server serves: the file, its configuration and the class names.

    <repository>/<name>/config.pbtxt
    <repository>/<name>/labels.txt
    <repository>/<name>/<version>/model.onnx | model.plan

The configuration's fields are those of Triton's `model_config.proto`.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import onnx_ir as ir

from fcn_deploy.card import ModelCard
from fcn_deploy.engine.flavors import TENSORRT
from fcn_deploy.engine.sidecar import SidecarPort, read_plan, read_sidecar
from fcn_deploy.engine_build.profiles import DEFAULT
from fcn_deploy.errors import EngineError, GraphError, OutputError
from fcn_deploy.graph.load import find_card, load_graph
from fcn_deploy.graph.precheck.scan import scan
from fcn_deploy.graph.session import check_opens
from fcn_deploy.graph.sizes import fixed_dims, graph_inputs
from fcn_deploy.packaging.triton_config import ServedModel, TritonOptions, config_text
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.system.exchange import exchange
from fcn_deploy.system.files import StrPath, check_writable, output_error, resolved
from fcn_deploy.system.progress import SILENT, Progress, track
from fcn_deploy.system.temporaries import alone_in, temporary
from fcn_deploy.vocabulary import Profile

CONFIG_FILE, LABELS_FILE = "config.pbtxt", "labels.txt"
SCHEMA = 1
_FIELD = re.compile(rb"^\s*(backend|platform|max_batch_size|input)\b", re.MULTILINE)  # of a model's configuration
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class PackagedModel:
    """One model of a repository: `folder` is <repository>/<name>."""

    folder: Path

    def to_plain(self) -> dict[str, Any]:
        """Return what `package` wrote as JSON holds it; files are relative to the repository."""
        repository = self.folder.parent
        files = sorted(str(path.relative_to(repository)) for path in self.folder.rglob("*") if path.is_file())
        return {
            "schema": SCHEMA, "kind": "package", "repository": str(repository), "name": self.folder.name, "files": files
        }  # fmt: skip


def package(model: StrPath, repository: Path, options: TritonOptions, progress: Progress = SILENT) -> PackagedModel:
    """Write `repository`/<name>, whole or not at all.

    Args:
        model: an .onnx file or an engine; a checkpoint, a recipe or "demo" is exported first.

    Raises:
        CheckpointError, ExportError: the model cannot be read or exported.
        EngineError: an engine without its sidecar, or of TensorRT for RTX, which Triton does not load.
        GraphError: no ONNX network with an image input, or options that the file does not allow.
        OutputError: a model of that name is there and `options.force` is not set, what is there is no model of a
            repository, or the repository cannot be written.
    """
    with ModelSource(model, progress) as source:
        target = repository / _name(options.name or Path(source.text).stem)
        _check_replaceable(target, options.force)
        check_writable(target / CONFIG_FILE)
        engine = source.kind == "engine"
        file = source.path if engine else source.onnx_file()
        _package(file, (_engine if engine else _onnx)(file, options), target, options, progress)
    return PackagedModel(target)


def _package(file: Path, served: ServedModel, target: Path, options: TritonOptions, progress: Progress) -> None:
    files = {served.file: file} | ({} if served.backend == "tensorrt" else _data_files(file, served.file))
    config = config_text(target.name, served)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        place = resolved(target)
        with temporary(place, folder=True) as folder:
            _write(folder, config, files, served, options, progress)
            with alone_in(target.parent):
                _check_replaceable(target, options.force)
                _replace(folder, place, options.version)
    except OSError as error:
        raise output_error(target, error) from error


def _write(
    folder: Path,
    config: str,
    files: Mapping[str, Path],
    served: ServedModel,
    options: TritonOptions,
    progress: Progress,
) -> None:
    version = folder / str(options.version)
    version.mkdir(parents=True)
    (folder / CONFIG_FILE).write_text(config, encoding="utf-8")
    if served.classes:
        (folder / LABELS_FILE).write_text("".join(f"{label}\n" for label in served.classes), encoding="utf-8")
    for own, file in track(progress, "copying", files.items(), len(files)):
        (version / own).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, version / own)


def _data_files(file: Path, served: str) -> dict[str, Path]:
    """Return the files of the weights by the names that they have inside the ONNX file, which they keep."""
    found = scan(file)
    if served in (str(PurePosixPath(name)) for name in found):
        raise GraphError(f"{file}: its external data is called {served}, as Triton calls the model; save it again")
    return found


def _check_replaceable(target: Path, force: bool) -> None:
    """Raise OutputError if `target` is there and not to be replaced, or no model of a repository: somebody's files."""
    if target.exists() and not force:
        raise OutputError(f"{target} is there already; give another --name, or --force to replace it")
    config = target / CONFIG_FILE
    if os.path.lexists(target) and not (config.is_file() and _FIELD.search(config.read_bytes())):
        raise OutputError(
            f"{target} is no model that Triton serves (it has no {CONFIG_FILE} of one), so --force does not replace "
            "it; give another --name"
        )


def _replace(temporary: Path, target: Path, version: int) -> None:
    """Move the new model in place; of an existing one, its version of this number, its labels and its configuration.

    Other versions and files stay. Folders are exchanged in one step where the file system can, else part by part.
    """
    if not target.exists():
        temporary.rename(target)
    elif not (_add_others(temporary, target, version) and exchange(temporary, target)):
        _replace_parts(temporary, target, version)


def _add_others(temporary: Path, target: Path, version: int) -> bool:
    """Link what stays of `target` into the new model's folder; False where the file system has no hard links."""

    def replaced(folder: str, names: list[str]) -> list[str]:
        return [str(version), CONFIG_FILE, LABELS_FILE] if Path(folder) == target else []

    try:
        shutil.copytree(target, temporary, symlinks=True, copy_function=os.link, ignore=replaced, dirs_exist_ok=True)
    except (OSError, shutil.Error):
        return False
    return True


def _replace_parts(temporary: Path, target: Path, version: int) -> None:
    """Move the version first and the configuration last; the old version goes only once the new one is in its place."""
    own, old = target / str(version), temporary / "old"
    there = os.path.lexists(own)
    if there:
        own.rename(old)
    try:
        (temporary / str(version)).rename(own)
    except BaseException:
        if there:
            old.rename(own)
        raise
    for name in (LABELS_FILE, CONFIG_FILE):
        if (temporary / name).exists():
            (temporary / name).replace(target / name)
        else:
            (target / name).unlink(missing_ok=True)


def _engine(source: Path, options: TritonOptions) -> ServedModel:
    sidecar = read_plan(source)[1] or read_sidecar(source)  # which says that it is missing
    if sidecar.flavor != TENSORRT:
        raise EngineError(
            f"{source} is a plan of TensorRT for RTX, which Triton does not load; build it with --flavor tensorrt on "
            "the machine that serves, or package the ONNX file"
        )
    if not options.gpu:
        raise EngineError(f"{source} is an engine and runs on a GPU; leave out --cpu")
    _check_profiles(sidecar.profiles, options.warmup)
    most = max(profile.max[0] for profile in sidecar.profiles)
    if options.max_batch is not None and options.max_batch > most:
        raise EngineError(f"{source} was built for at most {most} images, not {options.max_batch} (--max-batch)")
    usual = tuple(dict.fromkeys(profile.opt[1:] for profile in sidecar.profiles))
    return ServedModel(
        "tensorrt", "model.plan", sidecar.inputs, sidecar.outputs, options, batch=options.max_batch or most,
        warmup=options.warmup or usual, profiles=len(sidecar.profiles), classes=_classes(sidecar.card),
    )  # fmt: skip


def _check_profiles(profiles: Sequence[Profile], warmup: Sequence[tuple[int, int]]) -> None:
    for height, width in warmup:
        if not any(profile.accepts((profile.min[0], height, width)) for profile in profiles):
            known = ", ".join(map(str, profiles))
            raise EngineError(f"no profile of the engine holds {height}x{width} (--sizes); it has {known}")


def _onnx(source: Path, options: TritonOptions) -> ServedModel:
    model = load_graph(source)
    check_opens(source)
    fixed = fixed_dims(model)
    if fixed[0] is not None and options.max_batch not in (None, fixed[0]):
        raise GraphError(f"{source} fixes N at {fixed[0]}; export it with a dynamic N for another --max-batch")
    inputs, outputs = ([_port(v) for v in values] for values in (graph_inputs(model), model.graph.outputs))
    usual = ((fixed[1] or DEFAULT.opt[1], fixed[2] or DEFAULT.opt[2]),)
    return ServedModel(
        "onnxruntime", "model.onnx", inputs, outputs, options, classes=_classes(find_card(model, source)),
        batch=0 if fixed[0] is not None else options.max_batch or 8, warmup=options.warmup or usual,
    )  # fmt: skip


def _classes(card: ModelCard | None) -> tuple[str, ...]:
    return () if card is None else card.classes


def _port(value: ir.Value) -> SidecarPort:
    """Return an input or output of a graph; dims that vary are -1."""
    if value.dtype is None or value.shape is None:
        raise GraphError(f"the graph does not define the type or the rank of {value.name}; export it again")
    dims = tuple(dim if isinstance(dim, int) else -1 for dim in value.shape)
    return SidecarPort(str(value.name), value.dtype.numpy().name, dims)


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise OutputError(f"'{text}' cannot be the name of a model; give one of letters, digits, _, . and - (--name)")
    return text
