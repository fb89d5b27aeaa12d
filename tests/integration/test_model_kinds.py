"""Every command takes every kind of model file, told by its suffix in any case of letters or by its content."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner

from fcn_deploy.card import CARD_KEY, REWRITTEN_FROM, REWRITTEN_FROM_SHA256, ModelCard
from fcn_deploy.cli.main import cli
from fcn_deploy.errors import FcnDeployError
from fcn_deploy.model_file import DEMO_CHECKPOINT

RECIPE = """
name = "demo"
model = "fcn8s"
checkpoint = "weights.ckpt"
url = "https://example.org/weights.ckpt"
"""


def _call(*arguments: object) -> str:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.stdout


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The demo as a checkpoint and an ONNX file of unknown suffix, and as a recipe in capitals."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copy(DEMO_CHECKPOINT, folder / "weights.ckpt")
    (folder / "R.TOML").write_text(RECIPE)
    _call("export", "demo", "-o", folder / "m.onnx")
    shutil.copy(folder / "m.onnx", folder / "graph.model")
    return {"checkpoint": folder / "weights.ckpt", "recipe": folder / "R.TOML", "onnx": folder / "graph.model"}


def test_a_file_of_unknown_suffix_is_inspected_as_what_it_holds(models):
    kinds = {name: json.loads(_call("inspect", path, "--json", "-"))["kind"] for name, path in models.items()}
    assert kinds == {"checkpoint": "checkpoint", "recipe": "checkpoint", "onnx": "onnx"}


def test_quantize_exports_a_checkpoint_first_and_writes_the_same_file(models, tmp_path):
    sources = {**models, "demo": "demo"}
    for name, path in sources.items():
        _call("quantize", path, "--precision", "fp16", "-o", tmp_path / f"{name}.onnx")
    written = {name: _without_origin(tmp_path / f"{name}.onnx") for name in sources}
    # A recipe's own facts are in the card, so its file differs; the others are the demo.
    assert written["demo"] == written["checkpoint"] == written["onnx"] != written["recipe"]


def _without_origin(path):
    """Return the bytes of a rewritten file whose card does not say which file it was made from."""
    model = onnx.load(path)
    (entry,) = (prop for prop in model.metadata_props if prop.key == CARD_KEY)
    card = ModelCard.from_json(entry.value, path)
    notes = {name: note for name, note in card.notes.items() if name not in (REWRITTEN_FROM, REWRITTEN_FROM_SHA256)}
    assert len(notes) == len(card.notes) - 2
    entry.value = replace(card, notes=notes).to_json()
    return model.SerializeToString(deterministic=True)


def test_audit_and_package_take_what_has_to_be_exported(models, tmp_path):
    found = json.loads(_call("audit", "demo", "--json", "-"))
    assert found == json.loads(_call("audit", models["onnx"], "--json", "-")) | {"path": "demo"}
    _call("package", models["checkpoint"], "-o", tmp_path / "repository", "--name", "roads")
    assert (tmp_path / "repository" / "roads" / "1" / "model.onnx").is_file()


def test_an_engine_is_refused_in_one_line_where_a_network_is_needed(tmp_path):
    (tmp_path / "e.TRT").write_bytes(b"junkjunk")
    for arguments in (["quantize", "--precision", "fp16", "-o", tmp_path / "q.onnx"], ["audit"], ["export"]):
        with pytest.raises(FcnDeployError, match="is an engine, which holds no PyTorch network; give"):
            _call(arguments[0], tmp_path / "e.TRT", *arguments[1:])
