"""The types of numbers on the command line. Each has both of its ends, which the help shows; nan is in no range."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import click

from fcn_deploy.system.arguments import LONGEST_S, MOST_THREADS, most_threads_here
from fcn_deploy.vocabulary import LONGEST_SIDE


class WholeNumber(click.IntRange):
    """A whole number from `least` to `most`."""

    def __init__(self, least: int, most: int) -> None:
        super().__init__(least, most)


class Number(click.FloatRange):
    """A finite number from `least` to `most`; `above` and `below` leave out the end itself."""

    def __init__(self, least: float, most: float, *, above: bool = False, below: bool = False) -> None:
        super().__init__(least, most, min_open=above, max_open=below)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if math.isnan(click.FLOAT.convert(value, param, ctx)):  # no comparison with an end sees it
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return float(super().convert(value, param, ctx))


class Form(click.types.FuncParamType[str, Any]):
    """Numbers in a form of their own (5%, 360x480, 50ms), which `parse` reads; `ends` is their range for the help."""

    def __init__(self, parse: Callable[[str], Any], ends: str) -> None:
        super().__init__(parse)
        self.ends = ends


class ThreadCount(WholeNumber):
    """A number of threads that this machine can run."""

    def __init__(self) -> None:
        super().__init__(1, MOST_THREADS)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        count = int(super().convert(value, param, ctx))
        if count > most_threads_here():
            self.fail(f"{count} is more than this machine runs; give at most {most_threads_here()}.", param, ctx)
        return count


COUNT = WholeNumber(1, 10**9)
COPIES = WholeNumber(1, 1024)  # of a model, or of inferences in flight: each takes memory of its own
BATCH = WholeNumber(1, 65536)
PIXELS = WholeNumber(0, LONGEST_SIDE)
SIDE = WholeNumber(1, LONGEST_SIDE)
SECONDS = Number(0, LONGEST_S)
MILLISECONDS = Number(0, 10**7)
RELATIVE_ERROR = Number(0, 1000)
RADIUS = WholeNumber(0, 10**12)  # beyond an image it is that of the image
LABEL = WholeNumber(-(2**31), 2**31 - 1)
