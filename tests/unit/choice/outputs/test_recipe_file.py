"""Recipes of chosen files: written, read and refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from fcn_deploy.choice.outputs.recipe_file import (
    ChoiceRecipe,
    ChosenFile,
    is_choice_recipe,
    load_choice_recipe,
    make_again,
    write_recipe,
)
from fcn_deploy.data.options import DataOptions
from fcn_deploy.errors import OutputError, RecipeError
from fcn_deploy.graph.load import read_card
from fcn_deploy.system.files import sha256
from fcn_deploy.version import __version__

CHOSEN = ChosenFile(
    'a "b" ü.onnx', "12", "int8", "cpu", "openvino", network_size="0.5", sha256="34", fcn_deploy=__version__
)


def test_what_is_written_is_read(tmp_path: Path):
    path = tmp_path / "best.choice.toml"
    images = DataOptions("train.txt", split="train", limit=100, label_values=(0, 255), classes=("a", "b"))
    write_recipe(path, ChoiceRecipe(CHOSEN, images))
    assert is_choice_recipe(str(path))
    assert load_choice_recipe(path) == ChoiceRecipe(CHOSEN, images)
    assert "fcn-deploy choose best.choice.toml -o best.onnx" in path.read_text()
    write_recipe(path, ChoiceRecipe(CHOSEN))
    assert load_choice_recipe(path).calibration is None


def test_other_recipes_and_no_file_are_not_of_a_choice(tmp_path: Path):
    assert not is_choice_recipe("fcn8s-voc.toml")
    assert not is_choice_recipe(str(tmp_path / "none.toml"))
    assert not is_choice_recipe("demo")


def test_a_wrong_key_is_named(tmp_path: Path):
    path = tmp_path / "best.choice.toml"
    write_recipe(path, ChoiceRecipe(CHOSEN))
    path.write_text(path.read_text().replace("precision", "precission"))
    with pytest.raises(RecipeError, match="precission"):
        load_choice_recipe(path)


@pytest.mark.parametrize(("old", "new", "message"), [("limit", "limits", "did you mean limit"), ("3", "-3", "limit")])
def test_wrong_images_are_named(tmp_path: Path, old: str, new: str, message: str):
    path = tmp_path / "best.choice.toml"
    write_recipe(path, ChoiceRecipe(CHOSEN, DataOptions("a.txt", limit=3)))
    path.write_text(path.read_text().replace("limit = 3", "limit = 3".replace(old, new)))
    with pytest.raises(RecipeError, match=f"calibration: .*{message}"):
        load_choice_recipe(path)


def test_another_model_or_other_bytes_are_refused(tmp_path: Path, demo_onnx: Path):
    path, output = tmp_path / "best.choice.toml", tmp_path / "best.onnx"
    own = sha256(demo_onnx)

    def recipe(model_sha256: str, wanted: str) -> None:
        chosen = ChosenFile(str(demo_onnx), model_sha256, "fp32", "cpu", "onnxruntime", sha256=wanted)
        write_recipe(path, ChoiceRecipe(chosen))

    recipe("0" * 64, own)
    with pytest.raises(RecipeError, match=r"is not the file that best\.choice\.toml is about"):
        make_again(path, output)
    recipe(own, "0" * 64)
    with pytest.raises(OutputError, match="makes another file here"):
        make_again(path, output)
    assert not output.exists()
    recipe(own, own)
    assert make_again(path, output).runner == "onnxruntime"
    assert sha256(output) == own


def test_a_network_size_is_in_the_file_that_is_made_again(tmp_path: Path, small_onnx: Path):
    path, output = tmp_path / "best.choice.toml", tmp_path / "best.onnx"
    for size, message in (("0.5", ""), ("0", "'0' is not a network size")):
        chosen = ChosenFile(str(small_onnx), sha256(small_onnx), "fp32", "cpu", "onnxruntime", network_size=size)
        write_recipe(path, ChoiceRecipe(chosen))
        if message:
            with pytest.raises(RecipeError, match=message):
                make_again(path, output)
            continue
        make_again(path, output)
        assert read_card(output).network_size == "0.5"
