"""Make the file that a row opens: the model exported, rewritten to another precision, or built as an engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from fcn_deploy.audit.audit import audit
from fcn_deploy.benchmark.commands import command_for, is_made, made_name
from fcn_deploy.benchmark.kept_files import KeepFolder
from fcn_deploy.benchmark.record import types as rec
from fcn_deploy.benchmark.runner_specs import RunnerSpec
from fcn_deploy.data.options import DataOptions
from fcn_deploy.engine.sidecar import Sidecar
from fcn_deploy.engine_build.build_engine import build_engine
from fcn_deploy.quantization.calibration.cache import graph_digest
from fcn_deploy.quantization.quantize import quantize
from fcn_deploy.runners.base import Runner
from fcn_deploy.runners.engine_options import TrtOptions
from fcn_deploy.runners.registry import open_runner
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.vocabulary import Profile


class ModelFiles:
    """Make the file that each runner opens, once, in `folder`, which is the caller's to remove."""

    def __init__(
        self,
        model_source: ModelSource,
        folder: Path,
        *,
        calibration: DataOptions | None = None,
        engine: TrtOptions | None = None,
        profiles: Callable[[], tuple[Profile, ...]] = tuple,
        stem: str = "",
        cache: Path | None = None,
        keep: KeepFolder | None = None,
        progress: Progress = SILENT,
    ) -> None:
        """`profiles` says, when an engine is first asked for, which sizes it must take; () is the builder's default.

        `stem` is what the names of the files begin with, in place of the source's own; `cache` is the
        calibration cache, in place of one in `folder`; `keep`: where they are left.
        """
        self.model_source = model_source
        self._stem, self._keep = stem or model_source.stem, keep
        self._folder, self._cache = folder, cache or folder / "calibration.cache"
        self._calibration, self._engine_options = calibration, engine
        self._profiles = profiles
        self._progress = progress
        self._kept: dict[str, Path] = {}
        self._rewritten: dict[tuple[str, str], tuple[str, float]] = {}
        self._engines: dict[str, rec.Built] = {}

    def file_for(self, spec: RunnerSpec) -> tuple[str, rec.Built | None]:
        """Return what the spec's runner opens, and how it was made; None for a file that was there or just exported.

        Raises:
            FcnDeployError: the source cannot be read, exported, rewritten or built.
        """
        if spec.is_engine and self.model_source.kind != "engine":
            return self._engine(spec)
        if spec.precision in (None, "fp32"):
            return self.path_for(spec), None
        path, seconds = self._rewrite(str(spec.precision), spec.target)
        size, digest = Path(path).stat().st_size, graph_digest(Path(path))
        return path, rec.Built("onnx", size, seconds, _shares(audit(Path(path)).totals), sha256=digest)

    def path_for(self, spec: RunnerSpec) -> str:
        """Return what the spec's runner opens, without a look into it; errors as of `file_for`."""
        if spec.is_engine and self.model_source.kind != "engine":
            return self._engine(spec)[0]
        if spec.precision in (None, "fp32"):
            return self.model_source.file_for(spec.runner)
        return self._rewrite(str(spec.precision), spec.target)[0]

    def onnx_for(self, spec: RunnerSpec) -> str:
        """Return the ONNX file that the spec's runner opens, or that its engine is built from; errors likewise."""
        if spec.precision in (None, "fp32"):
            return str(self.model_source.onnx_file())
        return self._rewrite(str(spec.precision), spec.target)[0]

    def open(self, spec: RunnerSpec, *, threads: int | None = None) -> Runner:
        """Open the spec's runner, under the spec's name."""
        path = self.path_for(spec)
        engine = self._engine_options if spec.is_engine else None
        runner = open_runner(spec.runner, path, threads=threads, load=self.model_source.network, engine=engine)
        runner.name = spec.text
        return runner

    def opened_by(self, spec: RunnerSpec) -> rec.OpenedFile:
        """Return what the spec's runner opens by the name it would be kept under, and the command that makes it."""
        source = self.model_source
        if not is_made(source, spec):
            return rec.OpenedFile("demo" if source.kind == "demo" else source.name)
        name = made_name(self._stem, spec)
        profiles = self._profiles() if spec.is_engine else ()
        return rec.OpenedFile(name, command_for(source, spec, name, self._calibration, profiles))

    def kept(self, opened: rec.OpenedFile, path: str) -> rec.OpenedFile:
        """Leave the file at `path`, if it was made, in the folder of `keep`; OutputError if that fails."""
        if self._keep is None or not opened.command:
            return opened
        if opened.name not in self._kept:
            self._kept[opened.name] = self._keep.keep(Path(path), opened.name)
        return replace(opened, kept=str(self._kept[opened.name]))

    def note_for(self, spec: RunnerSpec) -> tuple[str, ...]:
        """Return what a reader should know of the file that the spec's runner opens."""
        return () if spec.is_engine or spec.precision is not None else self.model_source.note_for(spec.runner)

    def _rewrite(self, precision: str, target: str) -> tuple[str, float]:
        """Return the file in another precision, and the seconds that it took."""
        if (precision, target) not in self._rewritten:
            source = self.model_source.onnx_file()
            path = self._folder / f"{self._stem}.{precision}.{target}.onnx"
            started = time.perf_counter()
            quantize(
                source,
                path,
                precision=precision,  # type: ignore[arg-type]
                calibration=self._calibration,
                calibration_cache=None if self._calibration is None or precision == "bf16" else self._cache,
                target=target,  # type: ignore[arg-type]
                progress=self._progress,
            )
            self._rewritten[precision, target] = str(path), time.perf_counter() - started
        return self._rewritten[precision, target]

    def _engine(self, spec: RunnerSpec) -> tuple[str, rec.Built]:
        """Build an engine of the rewritten file; the seconds are those of the rewriting and of the build."""
        precision = spec.precision or "as it is"
        path = self._folder / made_name(self._stem, spec)
        if precision not in self._engines:
            source, seconds = str(self.model_source.onnx_file()), 0.0
            if precision not in ("as it is", "fp32"):
                source, seconds = self._rewrite(precision, "tensorrt")
            report = build_engine(source, path, profiles=self._profiles(), progress=self._progress)
            self._engines[precision] = _built(report.sidecar, seconds)
        return str(path), self._engines[precision]


def _built(sidecar: Sidecar, seconds: float) -> rec.Built:
    shares = {} if sidecar.shares is None else _shares(sidecar.shares.built)
    where = f"{sidecar.flavor} {sidecar.version}, {', '.join(sidecar.built_for.sm)}, {sidecar.profiles[0]}"
    return rec.Built("engine", sidecar.plan_bytes, seconds + sidecar.seconds, shares, where, sidecar.plan_sha256)


def _shares(macs: Mapping[str, int]) -> dict[str, float]:
    total = sum(macs.values())
    return {kind: value / total for kind, value in macs.items()} if total else {}
