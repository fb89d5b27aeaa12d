"""Write what was chosen as a recipe, and make the same file from it again.

    [choice]
    model = "fcn8s.onnx"
    model_sha256 = "5c1f..."
    precision = "int8"
    target = "cpu"
    runner = "openvino"
    network_size = "0.5"
    sha256 = "9b0e..."           # of the file that it makes

    [calibration]                # the images of --calib, as `quantize` takes them
    source = "train.txt"

Paths are as the user gave them. `fcn-deploy choose best.choice.toml -o best.onnx` makes the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from fcn_deploy.benchmark.model_files import ModelFiles
from fcn_deploy.benchmark.runner_specs import RunnerSpec
from fcn_deploy.choice.outputs.copying import write_file
from fcn_deploy.data.options import DataOptions
from fcn_deploy.errors import FcnDeployError, OutputError, RecipeError, ShapeError, UnknownNameError, restated
from fcn_deploy.model_file import file_of, kind_of
from fcn_deploy.network_size import network_size_text
from fcn_deploy.sources.model_source import ModelSource
from fcn_deploy.system.escape import visible, visible_line
from fcn_deploy.system.files import check_writable, sha256, write_text
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.system.scratch import scratch_folder
from fcn_deploy.system.serialization.decode import Filled, decode
from fcn_deploy.system.serialization.toml import read_toml
from fcn_deploy.version import __version__
from fcn_deploy.vocabulary import Target

SUFFIX = ".choice.toml"


@dataclass(frozen=True)
class ChosenFile:
    """How a file is made, and where it runs.

    Attributes:
        model: as the user named it.
        model_sha256: of its file.
        network: what a checkpoint holds, where its keys leave a choice; "" if it was not named.
        precision: "fp32" is the file as it is.
        runner: in which it was measured.
        network_size: at which its network computes, "1" for the images' own; "" leaves the model's.
        sha256: of the file; "" takes whatever comes out.
        fcn_deploy: the version that made it.
    """

    model: Filled
    model_sha256: Filled
    precision: Filled
    target: Target
    runner: Filled
    network: str = ""
    network_size: str = ""
    sha256: str = ""
    fcn_deploy: str = ""


@dataclass(frozen=True)
class ChoiceRecipe:
    """A recipe of one chosen file; `calibration` is None where it needed no images."""

    choice: ChosenFile
    calibration: DataOptions | None = None


def recipe_path(output: Path) -> Path:
    """Return where the recipe of `output` lies: best.onnx -> best.choice.toml."""
    return output.with_suffix(SUFFIX)


def write_recipe(path: Path, recipe: ChoiceRecipe) -> None:
    """Write the recipe; OutputError if that fails. What is at its default is left out."""
    lines = [
        "# Written by fcn-deploy choose. This makes the same file again, from the folder where it was chosen:",
        visible_line(f"#   fcn-deploy choose {path.name} -o {path.name.removesuffix(SUFFIX)}.onnx"),
        "[choice]",
        *_lines({**asdict(recipe.choice), "fcn_deploy": __version__}),
    ]
    if recipe.calibration is not None:
        usual = DataOptions()
        images = {each.name: getattr(recipe.calibration, each.name) for each in fields(usual)}
        changed = {name: value for name, value in images.items() if value != getattr(usual, name)}
        lines += ["", "[calibration]", *_lines(changed)]
    write_text(path, "\n".join(lines) + "\n")


def _lines(values: Mapping[str, Any]) -> list[str]:
    """Return TOML lines; a JSON text, number or list of them is one of TOML."""
    found = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
        if value not in (None, "")
    }
    return [f"{name} = {_escaped(json.dumps(value, ensure_ascii=False, default=str))}" for name, value in found.items()]


def _escaped(text: str) -> str:
    """Return a TOML value with what a terminal would obey as TOML's escapes, which `visible` does not write."""
    return "".join(each if visible(each) == each else f"\\u{ord(each):04x}" for each in text)


def is_choice_recipe(model: str) -> bool:
    """Whether the file is a recipe of this kind; False for whatever else, and for what cannot be read."""
    if kind_of(model) != "recipe":
        return False
    try:
        return "choice" in read_toml(file_of(Path(model)))
    except (OSError, ValueError):
        return False


def load_choice_recipe(path: Path) -> ChoiceRecipe:
    """Read and check a recipe; RecipeError if a key is unknown, missing or of the wrong kind."""
    raw = read_toml(path)
    found = decode(_Tables, raw, str(path), RecipeError, strict=True)
    if found.calibration is None:
        return ChoiceRecipe(found.choice)
    known = {each.name for each in fields(DataOptions)}
    for name in found.calibration:
        if name not in known:
            raise RecipeError(f"{path}, calibration: {UnknownNameError.of('key', name, known)}")
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in found.calibration.items()
    }
    try:
        return ChoiceRecipe(found.choice, DataOptions(**values))
    except FcnDeployError as error:
        raise RecipeError(f"{path}, calibration: {error}") from error


@dataclass(frozen=True)
class _Tables:
    """A recipe as it is in the file."""

    choice: ChosenFile
    calibration: Mapping[str, Any] | None = None


def make_again(path: Path, output: Path, progress: Progress = SILENT) -> ChosenFile:
    """Make the file of a recipe; it is the one that was chosen to the last bit, or nothing is written.

    Raises:
        RecipeError: the recipe, or its model is another file than the one that it was.
        OutputError: it cannot be written, or comes out with other bytes.
        FcnDeployError: it cannot be made.
    """
    recipe = load_choice_recipe(path)
    chosen = recipe.choice
    check_writable(output)
    if output.resolve() == Path(file_of(chosen.model)).resolve():
        raise OutputError(f"{output} is the model itself, which would be lost; give another file (-o)")
    with (
        ModelSource(chosen.model, progress, model=chosen.network or None) as given,
        _at_size(given, chosen, progress) as source,
        scratch_folder() as folder,
    ):
        found = given.digest()[0]
        if found != chosen.model_sha256:
            raise RecipeError(
                f"{given.path} is not the file that {path.name} is about: its sha256 starts with {found[:16]}, not "
                f"{chosen.model_sha256[:16]}"
            )
        files = ModelFiles(source, folder, calibration=recipe.calibration, progress=progress)
        precision = None if chosen.precision == "fp32" else chosen.precision
        made = Path(files.onnx_for(RunnerSpec(chosen.runner, chosen.runner, precision, chosen.target)))
        own = sha256(made)
        if chosen.sha256 and own != chosen.sha256:
            raise OutputError(
                f"{path.name} makes another file here: its sha256 starts with {own[:16]}, not {chosen.sha256[:16]} "
                f"(made by fcn-deploy {chosen.fcn_deploy}, this is {__version__}); other images or versions do that. "
                "Remove its line sha256 to take the file as it is"
            )
        write_file(output, made)
    return chosen


def _at_size(given: ModelSource, chosen: ChosenFile, progress: Progress) -> ModelSource:
    """Return the model at the network size that was chosen."""
    if not chosen.network_size:
        return given
    with restated(RecipeError, ShapeError):
        size = network_size_text(chosen.network_size)
    return ModelSource(given.text, progress, model=given.model, network_size=size)
