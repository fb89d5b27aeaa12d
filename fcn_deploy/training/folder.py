"""Recognise the run that a folder holds, and replace nothing that is not of a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from fcn_deploy.data.classes import FILE_NAME
from fcn_deploy.data.splits import share_of
from fcn_deploy.errors import TrainingError
from fcn_deploy.system.files import check_writable, output_error, require_plain
from fcn_deploy.system.serialization.decode import decode, parse_json
from fcn_deploy.system.temporaries import first_in, remove_abandoned, target_of_temporary
from fcn_deploy.training.config import TrainConfig, differences
from fcn_deploy.training.quantized import INT8_FILE, PLAN
from fcn_deploy.training.run import BEST, LAST, LOG
from fcn_deploy.training.state import STATE_FILE, EpochRecord, SavedState, read_saved_state

Start = Literal["new", "resume", "restart"]
PAGE = "report.html"
FILES = (STATE_FILE, LOG, BEST, LAST, PAGE, PLAN, INT8_FILE)
VAL_LIST = Path("val", "list.txt")  # the images that --val 0.2 keeps apart
VAL_FILES = (VAL_LIST, VAL_LIST.with_name(FILE_NAME))


def saved_run(config: TrainConfig, start: Start) -> SavedState | None:
    """Return the run to go on with; None where a new one starts.

    Raises:
        TrainingError: the folder holds a run and `start` is "new", holds another run and `start` is "resume", holds a
            state that cannot be read, or holds files that training would replace and that are of no run.
    """
    state = config.output / STATE_FILE
    if start == "restart" or not state.exists():
        _check_replaceable(config)
        if start != "restart" and _has_lines(config.output / LOG):
            raise TrainingError(
                f"{config.output} holds the {LOG} of a run whose {STATE_FILE} is gone, so the run cannot go on; choose "
                "another folder, or --restart"
            )
        return None
    saved = read_saved_state(state)
    if start == "new":
        raise TrainingError(_existing_run(config.output, saved))
    if found := differences(saved.config, config):
        raise TrainingError(
            f"{config.output} holds another run ({'; '.join(found)}); use its options, another folder, or --restart"
        )
    return saved


@contextmanager
def sole_run(folder: Path) -> Iterator[None]:
    """Make the folder of a run, and let one process at a time work in it; it is removed if nothing is in it at the end.

    Raises:
        OutputError: it cannot be made.
        TrainingError: another process trains in it.
    """
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise output_error(folder, error) from error
        with first_in(folder) as first:
            if not first:
                raise TrainingError(
                    f"another process is training in {folder}; wait for its end, or choose another folder"
                )
            yield
    finally:
        for each in made:
            with suppress(OSError):  # the run is in it
                each.rmdir()


def check_outputs(config: TrainConfig) -> None:
    """Raise OutputError if a file of the run cannot be written, or is one that the run reads."""
    for name in _written(config):
        check_writable(config.output / name)


def remove_run(folder: Path) -> None:
    """Remove the files of the run in `folder`; others stay."""
    for name in FILES:
        (folder / name).unlink(missing_ok=True)


def _written(config: TrainConfig) -> list[str]:
    return [*FILES, *(map(str, VAL_FILES) if share_of(config.val) is not None else ())]


def remove_partial_files(folder: Path) -> None:
    """Remove what a killed run was writing: the temporary folders and files that `fcn_deploy.system.files` makes."""
    for path in folder.glob(".*.tmp"):
        if target_of_temporary(path.name) in FILES:
            remove_abandoned(path)


def _check_replaceable(config: TrainConfig) -> None:
    """Raise TrainingError if training would replace files of no run, as a network of that name from elsewhere."""
    folder = config.output
    there = [name for name in _written(config) if (folder / name).exists()]
    if there and not _is_run(folder):
        raise TrainingError(
            f"{folder} holds {', '.join(there)}, which no run of fcn-deploy wrote (no {STATE_FILE} or {LOG} of one); "
            "choose another folder, or move them away"
        )


def _is_run(folder: Path) -> bool:
    """Tell whether `folder` has the state of a run, or its log; the log is there, without a line, from the start."""
    try:
        read_saved_state(folder / STATE_FILE)
    except TrainingError:
        return _is_log(folder / LOG)
    return True


def _is_log(path: Path) -> bool:
    try:
        with require_plain(path).open(encoding="utf-8") as lines:
            line = next(lines, "")
        return not line or bool(decode(EpochRecord, parse_json(line, str(path), TrainingError), "it", TrainingError))
    except (OSError, UnicodeDecodeError, TrainingError):
        return False


def _has_lines(log: Path) -> bool:
    return log.exists() and log.stat().st_size > 0


def _existing_run(folder: Path, saved: SavedState) -> str:
    done, epochs = len(saved.position.history), saved.config.epochs
    if done == epochs:
        best = saved.position.best_mean_iou
        score = f", best mIoU {best:.1%}" if best is not None else ""
        return f"{folder} holds a finished run ({epochs} epochs{score}); choose another folder, or --restart"
    return f"{folder} holds a run stopped after {done} of {epochs} epochs; --resume goes on, --restart starts over"
