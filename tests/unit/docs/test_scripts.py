"""The scripts that the pages give to readers do what the pages say."""

from __future__ import annotations

import argparse
import ast
import inspect
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import fcn_deploy
from fcn_deploy.data.classes import read_classes
from fcn_deploy.data.dataset import open_dataset
from fcn_deploy.data.pairs import read_list
from fcn_deploy.models.checkpoints import load_checkpoint
from fcn_deploy.recipe import Recipe, load_recipe
from tests.support import ROOT
from tests.support.bench_records import ROWS, with_rows
from tests.support.reference_nets import resnet_state


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def script(name: str, language: str, holds: str) -> str:
    """The only block of the page in that language with that text."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", page(name), re.MULTILINE | re.DOTALL)
    (found,) = [block for block in blocks if holds in block]
    return found


def run(block: str) -> None:
    exec(compile(block, "page", "exec"), {})


def write_mask(path: Path, *values: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.resize(np.array(values, np.uint8), (4, 6))).save(path)


def test_black_and_white_masks_become_masks_of_0_and_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    write_mask(Path("masks/a.png"), 0, 255)
    run(script("data.md", "python", "masks01"))
    assert np.unique(np.asarray(Image.open("masks01/a.png"))).tolist() == [0, 1]


def test_one_image_in_five_goes_to_the_validation_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for index in range(11):
        write_mask(Path(f"photos/{index}.jpg"), 0, 1)
    run(script("data.md", "python", "shuffle"))
    val, train = read_list(Path("val.txt")), read_list(Path("train.txt"))
    assert (len(val), len(train)) == (3, 8)
    assert {image for image, _ in val}.isdisjoint(image for image, _ in train)
    assert all(label == Path("masks", f"{image.stem}.png") for image, label in val + train)


@pytest.mark.skipif(sys.platform == "win32", reason="the block is for a POSIX shell")
def test_a_label_map_of_cvat_becomes_class_colours(tmp_path: Path):
    (tmp_path / "cvat").mkdir()
    (tmp_path / "cvat" / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:48,112,32::\n"
    )
    subprocess.run(["sh", "-e", "-c", script("data.md", "sh", "labelmap.txt")], cwd=tmp_path, check=True)
    found = read_classes(tmp_path / "cvat" / "classes.txt")
    assert (found.names, found.palette) == (("background", "cat"), ((0, 0, 0), (48, 112, 32)))


@pytest.mark.skipif(sys.platform == "win32", reason="the block is for a POSIX shell")
def test_the_list_of_cityscapes_pairs_each_image_with_its_train_ids(tmp_path: Path):
    write_mask(tmp_path / "leftImg8bit/train/ulm/ulm_0_leftImg8bit.png", 9)
    write_mask(tmp_path / "gtFine/train/ulm/ulm_0_gtFine_labelTrainIds.png", 1)
    subprocess.run(["sh", "-e", "-c", script("data.md", "sh", "leftImg8bit")], cwd=tmp_path, check=True)
    ((image, label),) = read_list(tmp_path / "train.txt")
    assert label is not None
    assert image.is_file()
    assert label.is_file()


def test_values_from_1_are_read_with_a_name_in_front_and_0_as_unlabelled(tmp_path: Path):
    line = next(line for line in page("data.md").splitlines() if "--classes unlabelled" in line)
    classes = re.findall(r"--classes (\S+) --ignore-index 0", line)[0].split(",")
    write_mask(tmp_path / "photos/a.png", 9)
    write_mask(tmp_path / "masks/a.png", 0, 1, 2, 3)
    masks = str(tmp_path / "masks")
    labels = open_dataset(str(tmp_path / "photos"), labels=masks, classes=classes, ignore_index=0)[0].label
    assert np.unique(labels).tolist() == [1, 2, 3, 255]


def test_a_fine_tuned_checkpoint_can_be_read_after_the_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    state = resnet_state(classes=5, blocks=(3, 4, 6, 3))
    state["aux_classifier.4.weight"] = torch.zeros(21, *state["aux_classifier.4.weight"].shape[1:])
    state = {f"model.{key}": value for key, value in state.items()}
    torch.save({"state_dict": state, "args": argparse.Namespace(lr=0.1)}, "checkpoint.pth")
    run(script("checkpoints.md", "python", "torch.load"))
    _, card = load_checkpoint(Path("weights.pth"))
    assert (card.model, card.num_classes) == ("fcn-resnet50", 5)


def test_the_gate_against_pytorch_passes_and_fails(monkeypatch: pytest.MonkeyPatch):
    gate = script("ci-gate.md", "python", "sys.exit")
    (call,) = [
        node
        for node in ast.walk(ast.parse(gate))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "fcn_deploy.bench"
    ]
    inspect.signature(fcn_deploy.bench).bind(*call.args, **{str(word.arg): None for word in call.keywords})
    reference, worse, *_ = ROWS
    monkeypatch.setattr(fcn_deploy, "bench", lambda *_, **__: with_rows(reference))
    run(gate)
    monkeypatch.setattr(fcn_deploy, "bench", lambda *_, **__: with_rows(reference, worse))
    with pytest.raises(SystemExit, match=r"onnxruntime is not within 0\.3 points of PyTorch's mIoU"):
        run(gate)


def test_the_recipe_of_the_page_is_one_and_its_table_has_every_field(tmp_path: Path):
    (tmp_path / "mine.toml").write_text(script("recipes.md", "toml", "name"), encoding="utf-8")
    assert load_recipe(tmp_path / "mine.toml").mean == (127.5, 127.5, 127.5)
    table = page("recipes.md").split("## Every field")[1].split("\n\n")[1]
    named = {name for line in table.splitlines()[2:] for name in re.findall(r"`\[*(\w+)\]*`", line.split("|")[1])}
    assert named == {field.name for field in fields(Recipe)} - {"path"}
