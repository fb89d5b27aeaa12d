"""Every bad file: one clear line that says what was found, what was needed and what to do."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fcn_deploy.card import CARD_KEY
from fcn_deploy.errors import CheckpointError, UnknownNameError
from fcn_deploy.models.checkpoints import save_model
from fcn_deploy.models.conventions import State
from fcn_deploy.models.network import load_network
from fcn_deploy.models.registry import build, new_card
from tests.support.locked_folder import lock
from tests.support.reference_nets import caffe_state, resnet_state

CLASSES = ("sky", "pole", "sign")
RAN: list[str] = []


class Code:
    """What a hostile file holds: unpickling it would call a function."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return RAN.append, ("the code in the file ran",)


def refused(path: Path, **options: object) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_network(path, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


def own_file(folder: Path) -> Path:
    card = new_card("fcn8s", CLASSES, width=0.0625)
    save_model(folder / "own.safetensors", build(card), card)
    return folder / "own.safetensors"


def cut(path: Path, size: int) -> Path:
    path.write_bytes(path.read_bytes()[:size])
    return path


def test_a_missing_file_brings_the_names_near_it(tmp_path: Path):
    (tmp_path / "fcn8s_from_caffe.pth").write_bytes(b"x")
    assert "did you mean fcn8s_from_caffe.pth?" in refused(tmp_path / "fcn8s_from_cafe.pth")


def test_a_missing_folder_is_named(tmp_path: Path):
    assert f"there is no folder {tmp_path / 'nowhere'}" in refused(tmp_path / "nowhere" / "net.pth")


def test_a_folder_is_not_a_file(tmp_path: Path):
    assert "is a folder; expected an .onnx file, an engine, a checkpoint" in refused(tmp_path)


def test_an_empty_file(tmp_path: Path):
    (tmp_path / "net.pth").write_bytes(b"")
    assert "is empty" in refused(tmp_path / "net.pth")


@pytest.mark.parametrize("share", [0.02, 0.5, 0.999])
@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_a_truncated_file(kind: str, share: float, tmp_path: Path):
    path = tmp_path / "net.file"
    state = caffe_state("fcn32s-caffe", 2)
    if kind == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind == "zip")
    size = path.stat().st_size
    assert "is truncated" in refused(cut(path, int(size * share)))


def write(state: State, path: Path, kind: str) -> Path:
    if kind == "safetensors":
        save_file(dict(state), path, {"source": "somewhere"})
    else:
        torch.save({"state_dict": state, "epoch": 3}, path, _use_new_zipfile_serialization=kind == "zip")
    return path


def test_a_damaged_table_of_contents_is_said_to_be_damaged(tmp_path: Path):
    path = write({"a": torch.ones(3)}, tmp_path / "net.pth", "zip")
    content = bytearray(path.read_bytes())
    content[content.rindex(b"PK\x01\x02")] = 0
    path.write_bytes(content)
    assert "is damaged (Bad magic number for central directory); fetch or copy it again" in refused(path)


@pytest.mark.parametrize("kind", [torch.int64, torch.bool, torch.complex64])
def test_weights_that_are_no_real_numbers_are_named(kind: torch.dtype, tmp_path: Path):
    state = caffe_state("fcn32s-caffe", 3)
    state["fc7.bias"] = state["fc7.bias"].to(kind)
    torch.save(state, tmp_path / "net.pth")
    name = str(kind).removeprefix("torch.")
    assert f"does not fit fcn32s-caffe: 1 not of floating point: fc7.bias {name}" in refused(tmp_path / "net.pth")


@pytest.mark.parametrize(
    ("tensor", "kind"), [(torch.eye(3).to_sparse(), "sparse"), (torch.zeros(3, device="meta"), "meta")]
)
def test_weights_without_plain_values_are_named(tensor: torch.Tensor, kind: str, tmp_path: Path):
    torch.save({"fc7.bias": tensor}, tmp_path / "net.pth")
    assert f"fc7.bias is a {kind} tensor; save dense tensors" in refused(tmp_path / "net.pth")


def test_a_key_that_no_terminal_can_show_is_escaped(tmp_path: Path):
    torch.save({"a\n\x1b[2J\udc80": torch.zeros(1)}, tmp_path / "net.pth")
    assert r"it has a\n\x1b[2J\udc80" in refused(tmp_path / "net.pth")


def test_a_file_in_a_folder_that_may_not_be_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = own_file(tmp_path)
    lock(monkeypatch, tmp_path)
    assert refused(path) == f"cannot read {path}: permission denied"


def test_a_name_longer_than_a_file_name_may_be(tmp_path: Path):
    assert "cannot read" in refused(tmp_path / ("x" * 300 + ".pth"))


def test_a_safetensors_file_cut_in_its_header(tmp_path: Path):
    assert "is truncated" in refused(cut(own_file(tmp_path), 100))


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_file_is_named_and_never_runs(legacy: bool, tmp_path: Path):
    torch.save({"weights": Code()}, tmp_path / "net.pth", _use_new_zipfile_serialization=not legacy)
    message = refused(tmp_path / "net.pth")
    assert "holds code" in message
    assert "save its state_dict() instead" in message
    assert RAN == []


def test_plain_pickled_code_never_runs_either(tmp_path: Path):
    (tmp_path / "net.pkl").write_bytes(pickle.dumps(Code()))
    refused(tmp_path / "net.pkl")
    assert RAN == []


@pytest.mark.parametrize("legacy", [False, True])
def test_a_whole_pickled_module_is_code(legacy: bool, tmp_path: Path):
    module = torch.nn.Conv2d(3, 4, 3)
    torch.save(module, tmp_path / "net.pth", _use_new_zipfile_serialization=not legacy)
    message = refused(tmp_path / "net.pth")
    assert "holds code (torch.nn.modules.conv.Conv2d), which is never executed" in message


def test_a_torchscript_archive_is_code(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "net.pt", "w") as archive:
        archive.writestr("net/data.pkl", b"")
        archive.writestr("net/constants.pkl", b"")
    assert "TorchScript" in refused(tmp_path / "net.pt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html><html><title>Google Drive - Virus scan warning</title>", "it is a web page"),
        (b"\n <html>", "it is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a", "Git LFS pointer"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"hello world", "it starts with b'hello wo'"),
    ],
)
def test_a_file_of_another_kind_is_said_to_be_one(content: bytes, message: str, tmp_path: Path):
    (tmp_path / "net.pth").write_bytes(content)
    assert message in refused(tmp_path / "net.pth")


def test_another_zip_archive_is_no_checkpoint(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("a.jpg", b"")
    assert "a zip archive that PyTorch did not write" in refused(tmp_path / "photos.zip")


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, torch.zeros(3), {"state_dict": {"a": 1}}])
def test_a_file_without_named_tensors(content: object, tmp_path: Path):
    torch.save(content, tmp_path / "net.pth")
    assert "state dict" in (message := refused(tmp_path / "net.pth")) or "no tensors" in message


def test_unknown_keys_are_listed_with_the_known_conventions(tmp_path: Path):
    torch.save({f"encoder.{index}.weight": torch.zeros(1) for index in range(9)}, tmp_path / "net.pth")
    message = refused(tmp_path / "net.pth")
    assert "it has encoder.0.weight, encoder.1.weight, encoder.2.weight, encoder.3.weight and 5 more" in message
    assert "torchvision FCN-ResNet" in message


def test_missing_unexpected_and_misshaped_keys_are_each_listed(tmp_path: Path):
    state = caffe_state("fcn8s-caffe", 3)
    for key in ("conv1_1.bias", "conv1_2.bias", "conv2_1.bias", "conv2_2.bias", "conv3_1.bias"):
        del state[key]
    state["optimizer_step"] = torch.zeros(1)
    state["fc7.bias"] = torch.zeros(7)
    torch.save(state, tmp_path / "net.pth")
    message = refused(tmp_path / "net.pth", model="fcn8s-caffe")
    assert "does not fit fcn8s-caffe" in message
    assert "5 missing: conv1_1.bias, conv1_2.bias, conv2_1.bias, conv2_2.bias and 1 more" in message
    assert "1 unexpected: optimizer_step" in message
    assert "1 mis-shaped: fc7.bias 7 (expected 512)" in message


def test_a_file_with_its_scores_missing_is_still_recognised(tmp_path: Path):
    state = resnet_state(3, (3, 4, 6, 3))
    torch.save({key: value for key, value in state.items() if not key.startswith("classifier.4")}, tmp_path / "n.pth")
    assert "2 missing: classifier.4.weight, classifier.4.bias" in refused(tmp_path / "n.pth", classes=CLASSES)


def test_another_class_count_than_the_names_given(tmp_path: Path):
    message = refused(own_file(tmp_path), classes=("a", "b"))
    assert "has scores for 3 classes, but 2 names were given" in message


def test_another_model_than_the_one_asked_for(tmp_path: Path):
    assert "holds fcn8s (our own fcn8s), not fcn16s" in refused(own_file(tmp_path), model="fcn16s")
    torch.save(caffe_state("fcn8s-caffe", 3), tmp_path / "net.pth")
    assert "holds fcn8s-caffe or fcn8s-atonce-caffe" in refused(tmp_path / "net.pth", model="fcn8s")


def test_a_model_that_does_not_exist(tmp_path: Path):
    with pytest.raises(UnknownNameError, match="did you mean fcn8s-caffe"):
        load_network(own_file(tmp_path), model="fcn8s-cafe")


@pytest.mark.parametrize(("value", "kind"), [(float("nan"), "NaN"), (float("inf"), "infinite")])
def test_weights_that_are_not_numbers_are_named(value: float, kind: str, tmp_path: Path):
    state = caffe_state("fcn32s-caffe", 3)
    state["conv3_2.weight"][1, 2, 0, 1] = value
    torch.save(state, tmp_path / "net.pth")
    assert f"conv3_2.weight has {kind} values" in refused(tmp_path / "net.pth")


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ("{", "the model card cannot be read"),
        ('{"model": "fcn9s", "classes": ["a", "b"]}', "unknown model 'fcn9s'"),
        ('{"model": "fcn8s", "classes": ["a", "b"], "options": {"depth": 3}}', "cannot be built"),
        ('{"model": "fcn8s", "classes": ["a", "b"], "options": {"width": 1e300}}', "cannot be built"),
    ],
)
def test_a_model_card_that_makes_no_sense(card: str, message: str, tmp_path: Path):
    save_file({"a": torch.zeros(1)}, tmp_path / "net.safetensors", {CARD_KEY: card})
    assert message in refused(tmp_path / "net.safetensors")
