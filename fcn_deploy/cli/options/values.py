"""Parse the values that several commands take, and complete them in a shell. Nothing heavy is imported."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from fcn_deploy.card import class_names
from fcn_deploy.cli.options.numbers import Form
from fcn_deploy.errors import DataError, FcnDeployError, RecipeError, ShapeError, restated
from fcn_deploy.network_size import MOST as MOST_FACTOR
from fcn_deploy.network_size import network_size_text, size_words
from fcn_deploy.system.files import check_name
from fcn_deploy.vocabulary import LARGEST_DIM, LONGEST_SIDE, QUANTIZED_PRECISIONS, Shape, Size, parse_shape, parse_size

MOST_IN_BYTES = 10**6  # of a mean or a standard deviation in units of 0 to 255


class File(click.Path):
    """A file or folder; never "-", which only --json and the reports of `bench` print."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("it is empty; name a file or folder", param, ctx)
        if value == "-":
            self.fail("'-' prints nothing here; name a file or folder", param, ctx)
        return super().convert(value, param, ctx)


class ModelPath(File):
    """A path as the libraries that read and write models take it: in UTF-8."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = super().convert(value, param, ctx)
        with restated(click.BadParameter, FcnDeployError):
            check_name(path)
        return path


FILE = ModelPath(path_type=Path)


def parse_classes(text: str) -> tuple[str, ...]:
    """Read class names from `--classes`: a file as `classes.txt`, or a comma-separated list.

    Raises:
        DataError: the file cannot be read or is malformed, no name is given, or one is empty or given twice.
    """
    if not text.strip(", "):
        raise DataError("--classes names no class; give a file with one name per line, or a comma-separated list")
    if _is_file(text):
        from fcn_deploy.data.classes import read_classes

        return read_classes(Path(text)).names
    if text.endswith(".txt") and "," not in text:
        raise DataError(f"--classes {text}: there is no such file")
    with restated(DataError, RecipeError, prefix=f"--classes {text}: "):
        return class_names(text.split(","))


def parse_class_list(text: str) -> tuple[str, ...]:
    """Read the classes of a data set: as `parse_classes`, or entries NAME R G B, which a file may have too.

    Raises:
        DataError: as for `parse_classes`, or a colour that cannot be used.
    """
    if _is_file(text):
        from fcn_deploy.data.classes import read_classes

        return read_classes(Path(text)).entries
    return parse_classes(text)


def parse_values(text: str) -> tuple[int, ...]:
    """Parse "0,255" for click, which names the option in the error."""
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or not all(abs(number) <= LARGEST_DIM for number in numbers):
        raise click.BadParameter(f"'{text}' is not a list of whole numbers of at most {LARGEST_DIM}, such as 0,255")
    return numbers


def parse_names(text: str) -> list[str]:
    """Parse "labels,logits"; blanks around a name are left out."""
    return [name.strip() for name in text.split(",")]


def parse_triple(text: str) -> tuple[float, ...]:
    """Parse "123.7,116.3,103.5" for click, which names the option in the error."""
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 3 or not all(abs(number) <= MOST_IN_BYTES for number in numbers):
        raise click.BadParameter(
            f"'{text}' is not three numbers with commas from -{MOST_IN_BYTES} to {MOST_IN_BYTES}, as in "
            "123.7,116.3,103.5"
        )
    return numbers


def picked(given: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return the values of these options as keyword arguments of the library function that calls them the same."""
    return {name: given[name] for name in names}


def size_value(text: str) -> Size:
    """Parse "360x480" for click, which names the option in the error."""
    with restated(click.BadParameter, ShapeError):
        size = parse_size(text)
    _check_sides(text, size)
    return size


def shape_value(text: str) -> Shape:
    """Parse "1x360x480" for click, which names the option in the error."""
    with restated(click.BadParameter, ShapeError):
        shape = parse_shape(text)
    _check_sides(text, shape[1:])
    if math.prod(shape) > LARGEST_DIM:
        raise click.BadParameter(f"'{text}' has more than {LARGEST_DIM} pixels in all; give a smaller batch or image")
    return shape


def _check_sides(text: str, sides: Size) -> None:
    if max(sides) > LONGEST_SIDE:
        raise click.BadParameter(f"'{text}' has a side of more than {LONGEST_SIDE} pixels; give a smaller size")


def network_size(text: str) -> str:
    """Check "512x1024", "longest:1024" or "0.5" for click, which names the option in the error."""
    with restated(click.BadParameter, ShapeError):
        return network_size_text(text)


def network_sizes(text: str) -> tuple[str, ...]:
    """Parse "0.50, longest:360" as ("0.5", "longest:360"), each once; "1" is the images' own size."""
    return tuple(dict.fromkeys(size_words(network_size(part)) for part in text.split(",") if part.strip()))


SIDES = f"1<=side<={LONGEST_SIDE}"
SIZE = Form(size_value, SIDES)
SHAPE = Form(shape_value, f"1<=side<={LONGEST_SIDE}, 1<=N*H*W<={LARGEST_DIM}")
NETWORK_SIZE = Form(network_size, f"{SIDES}, 0<factor<={MOST_FACTOR}")
NETWORK_SIZES = Form(network_sizes, NETWORK_SIZE.ends)
VALUES = Form(parse_values, f"-{LARGEST_DIM}<=x<={LARGEST_DIM}")
TRIPLE = Form(parse_triple, f"-{MOST_IN_BYTES}<=x<={MOST_IN_BYTES}")


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except PermissionError as error:
        raise DataError(f"cannot read {text}: permission denied") from error
    except OSError:  # a list longer than a file name may be
        return False


Parts = dict[str, tuple[str, ...]]  # name -> what may follow behind a colon


def complete_models(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the models whose names start with it."""
    from fcn_deploy.models.registry import MODELS

    return [name for name in MODELS if name.startswith(incomplete)]


def complete_runner(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the runners whose names start with it, with a device or a type after a colon."""
    return _with_parts(_parts(), incomplete)


def complete_runners(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return what may follow in a list of runners with commas, with a precision after a colon too."""
    done, comma, last = incomplete.rpartition(",")
    return [f"{done}{comma}{spec}" for spec in _with_parts(_parts(QUANTIZED_PRECISIONS), last)]


def _parts(precisions: tuple[str, ...] = ()) -> Parts:
    """Return what may follow each runner's name: devices, types and, of a file that can be rewritten, `precisions`."""
    from fcn_deploy.runners.registry import RUNNERS

    return {
        name: (*line.devices, *line.types, *(precisions if line.opens != "network" else ()))
        for name, line in RUNNERS.items()
    }


def _with_parts(after: Parts, incomplete: str) -> list[str]:
    """Return the names that start with it; after "name:" the parts that are not in it yet."""
    *done, last = incomplete.split(":")
    if not done:
        return [name for name in after if name.startswith(last)]
    free = [part for part in after.get(done[0], ()) if part not in done and part.startswith(last)]
    return [":".join([*done, part]) for part in free]
