"""Define every expected error as one tree.

Every message says what was found, what was expected and what to do. The command line prints one of these as a
single line with exit code 1; anything else that escapes is a bug and shows its traceback. The base itself is raised for
an argument of the wrong type or out of range.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager


class FcnDeployError(Exception):
    """Base of every error that a user can cause or fix."""


def did_you_mean(found: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return "; did you mean A or B?" with the known names that are most like `found`; "" if none is."""
    near = difflib.get_close_matches(found, list(known), n=2, cutoff=cutoff)
    return f"; did you mean {' or '.join(near)}?" if near else ""


@contextmanager
def restated(kind: Callable[[str], Exception], *caught: type[Exception], prefix: str = "") -> Iterator[None]:
    """Raise an error of the types `caught` again as one of `kind`, its message behind `prefix`."""
    try:
        yield
    except caught as error:
        raise kind(f"{prefix}{error}") from error


class UnknownNameError(FcnDeployError):
    """A model, runner, option or class name that does not exist (with near matches)."""

    @classmethod
    def of(cls, kind: str, found: str, known: Iterable[str]) -> UnknownNameError:
        """Say what `found` was meant to be: the near matches if there are any, and every known name."""
        names = sorted(known)
        return cls(f"unknown {kind} '{found}'{did_you_mean(found, names)} (known: {', '.join(names)})")


class CheckpointError(FcnDeployError):
    """A weights file that cannot be read, or does not fit the model."""


class RecipeError(FcnDeployError):
    """A recipe or model card that is malformed."""


class DataError(FcnDeployError):
    """A data set that cannot be used."""


class UnnamedClassesError(DataError):
    """A labelled data set without class names."""


class ImageError(DataError):
    """One image or label file that cannot be decoded or used."""


class LabelError(DataError):
    """Labels that do not fit their image or the classes."""


class ShapeError(FcnDeployError):
    """An array of the wrong shape or type."""


class ExportError(FcnDeployError):
    """A graph that could not be exported."""


class ParityError(ExportError):
    """A graph whose results differ from the reference by more than the tolerance.

    Attributes:
        largest_difference: the largest relative difference of a logit over all shapes tried.
    """

    def __init__(self, message: str, largest_difference: float) -> None:
        super().__init__(message)
        self.largest_difference = largest_difference


class GraphError(FcnDeployError):
    """An ONNX file that cannot be read or is not what was asked for."""


class EngineError(FcnDeployError):
    """An engine that cannot be built, read or used."""


class SearchError(FcnDeployError):
    """A search for layers that cannot meet its budget."""


class RunnerError(FcnDeployError):
    """A runner that cannot be opened or failed while running."""


class ScoreError(RunnerError):
    """Scores that are NaN or infinite, of which labels are made all the same."""


class TrainingError(FcnDeployError):
    """A training run that cannot start, go on or be resumed."""


class RecordError(FcnDeployError):
    """A benchmark record that cannot be read."""


class OutputError(FcnDeployError):
    """A file or folder that cannot be written."""


class MissingDependencyError(FcnDeployError):
    """An optional package that is not installed, or does not load."""


def first_line(error: object) -> str:
    """Return the first line of an exception's text, at most 300 characters; its type's name if it has no text."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:300]


def one_line(error: object) -> str:
    """Return an exception's text without its line breaks, at most 300 characters; its type's name if it has no text."""
    return " ".join(str(error).split())[:300] or type(error).__name__
