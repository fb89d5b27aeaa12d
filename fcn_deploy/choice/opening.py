"""Open what a search works with: the model, the frames, the log and a folder for the files that are tried."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fcn_deploy.benchmark.models import BenchModel, open_reference
from fcn_deploy.card import ModelCard
from fcn_deploy.choice.bounds import Examiner
from fcn_deploy.choice.candidates import Candidate, candidates_of
from fcn_deploy.choice.files import CandidateFiles
from fcn_deploy.choice.frames import LabelledFrames
from fcn_deploy.choice.log import ChoiceLog
from fcn_deploy.choice.options import ChoiceOptions, check_options
from fcn_deploy.choice.trials import Trials
from fcn_deploy.data.digests import Frames, frames_of, overlap
from fcn_deploy.data.options import classes_of, open_for_model
from fcn_deploy.errors import RunnerError
from fcn_deploy.quantization.calibration.images import open_images
from fcn_deploy.runners.base import Runner
from fcn_deploy.runners.registry import REFERENCE, distributions
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.system.environment import cpu_model, package_versions
from fcn_deploy.system.lock import building
from fcn_deploy.system.process import usable_cores
from fcn_deploy.system.progress import Progress
from fcn_deploy.version import __version__

# Folders of the files that are tried, below that of the log.
TRIED = ".tried-"


@dataclass(frozen=True)
class Opened:
    """What a search works with."""

    trials: Trials
    candidates: tuple[Candidate, ...]
    source: ModelSource
    examiner: Examiner


@contextmanager
def opened(options: ChoiceOptions, progress: Progress) -> Iterator[Opened]:
    """Open model, data and log; what was opened is closed at the end, and the folder stays.

    Another process with the same folder is waited for: its log then has the steps.
    """
    check_options(options)
    threads = options.threads or usable_cores()
    with ExitStack() as stack:
        source = stack.enter_context(ModelSource(options.model, progress, model=options.model_name))
        card = source.card()
        candidates = candidates_of(options, card)
        frames = _frames(card, options, progress)
        calibration = _calibration(card, options, frames, progress)
        options.budget.check(frames.classes)
        examiner = Examiner(options.budget, frames.classes, frames.present, len(frames))
        stack.enter_context(_folder(options.folder))
        path = options.folder / "log.jsonl"
        notice = f"another process is writing {path}; waiting for it"  # two would write one step twice
        stack.enter_context(building(path, progress, notice=notice))
        for left in options.folder.glob(f"{TRIED}*"):  # of a run that was killed
            shutil.rmtree(left, ignore_errors=True)
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=TRIED, dir=options.folder))
        log = ChoiceLog(path, _key(source, frames, calibration, options, threads), len(frames.classes))
        progress.say(f"choice log {log.path}: {log.found} steps are done")
        files = CandidateFiles(
            source, Path(folder), stack, calibration=options.calibration, caches=options.folder, progress=progress
        )
        bench_model = BenchModel(source, "", (), card)

        def open_the_reference(inner: ExitStack, threads: int) -> Runner:
            found, reason = open_reference(bench_model, [], threads, inner)
            if found is None:
                raise RunnerError(f"there is nothing to compare the candidates with: {reason}")
            return found.runner

        trials = Trials(files, frames, log, REFERENCE, open_the_reference, threads, options.radius, progress)
        yield Opened(trials, candidates, source, examiner)


@contextmanager
def _folder(folder: Path) -> Iterator[None]:
    """Make the folder of the log; after an error before the first step it is removed again if nothing is in it."""
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for each in made:
            with suppress(OSError):  # what is in it is worth keeping
                each.rmdir()


def _frames(card: ModelCard | None, options: ChoiceOptions, progress: Progress) -> LabelledFrames:
    dataset = open_for_model(card, options.data, progress)
    return LabelledFrames(dataset, classes_of(card, dataset), on_error=options.data.on_error, progress=progress)


def _calibration(
    card: ModelCard | None, options: ChoiceOptions, frames: LabelledFrames, progress: Progress
) -> Frames | None:
    """Return the calibration images; a notice if frames are among them, on which candidates are scored."""
    if options.calibration is None:
        return None
    dataset = open_images(card, options.calibration, progress)
    found = frames_of(dataset, on_error=options.calibration.on_error, progress=progress)
    shared = overlap(found, frames.seen).shared
    if shared:
        progress.say(
            f"{len(shared)} calibration images are in the validation set too, such as {shared[0][0]}: INT8 is scored "
            "on images that it was fitted to"
        )
    return found


def _key(
    source: ModelSource, frames: LabelledFrames, calibration: Frames | None, options: ChoiceOptions, threads: int
) -> dict[str, Any]:
    """Return what identifies the steps: with equal keys, a step of one choice is a step of the other.

    Limits are not in it, nor is what is tried: the log of one choice serves the next with other limits.
    """
    return {
        "model": source.digest()[0],
        "network": options.model_name,
        "frames": frames.digest,
        "calibration": None if calibration is None else calibration.digests,
        "radius": options.radius,
        "threads": threads,
        "cpu": cpu_model(),
        "fcn_deploy": __version__,
        "packages": package_versions(distributions()),
    }
