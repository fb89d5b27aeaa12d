"""Files of weights: which names and files are taken, and which are refused. More are in tests/hostile."""

from __future__ import annotations

from pathlib import Path

import pytest

from fcn_deploy.errors import GraphError
from fcn_deploy.graph.precheck.external_data import DataPart, check_part, data_path, without_links


@pytest.mark.parametrize("name", ["w.bin", "data/w.bin", "./w.bin", "w..bin"])
def test_a_name_in_the_folder_is_taken(tmp_path, name):
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"12345678")
    assert data_path(tmp_path / "m.onnx", name) == file.resolve()


@pytest.mark.parametrize(
    "name", ["", "/w.bin", "../w.bin", "a/../../w.bin", "a/../w.bin", "..\\w.bin", "C:w.bin", "\\w"]
)
def test_a_name_that_leaves_the_folder_is_refused(tmp_path, name):
    (tmp_path / "w.bin").touch()
    with pytest.raises(GraphError, match="outside the file's folder"):
        data_path(tmp_path / "m.onnx", name)


def test_a_link_is_followed_to_a_plain_file_alone(tmp_path):
    (tmp_path / "blobs").mkdir()
    blob = tmp_path / "blobs" / "0123"
    blob.write_bytes(b"12345678")
    folder = tmp_path / "snapshot"
    folder.mkdir()
    (folder / "w.bin").symlink_to(Path("..", "blobs", "0123"))
    (folder / "zero").symlink_to("/dev/zero")
    assert data_path(folder / "m.onnx", "w.bin") == blob.resolve()
    with pytest.raises(GraphError, match="zero is a device or a pipe, not a file"):
        data_path(folder / "m.onnx", "zero")


@pytest.mark.parametrize(
    ("offset", "length", "words"),
    [
        ("4", "8", "must hold 12 bytes for w, found 8 bytes"),
        (None, "4", "w needs 8 bytes by its type and dims, and its external data has 4"),
        ("-1", "8", "the offset of w's external data is '-1'"),
        ("1e1", "8", "the offset of w's external data is '1e1'"),
        ("0", "٨", "the length of w's external data"),
    ],
)
def test_numbers_that_do_not_fit(tmp_path, offset, length, words):
    (tmp_path / "w.bin").write_bytes(b"12345678")
    assert check_part(tmp_path / "m.onnx", "w", DataPart("w.bin", None, "8"), 8).name == "w.bin"
    with pytest.raises(GraphError, match=words):
        check_part(tmp_path / "m.onnx", "w", DataPart("w.bin", offset, length), 8)


def test_a_copy_without_links_is_removed_and_needs_none_where_there_are_no_links(tmp_path):
    model, data = tmp_path / "m.onnx", tmp_path / "w.bin"
    model.write_bytes(b"model")
    data.write_bytes(b"weights")
    with without_links(model, {"w.bin": data.resolve()}) as same:
        assert same == model
    (tmp_path / "link.bin").symlink_to("../elsewhere")
    with without_links(model, {"link.bin": data.resolve()}) as copy:
        assert copy.read_bytes() == b"model"
        assert (copy.parent / "link.bin").read_bytes() == b"weights"
        assert not (copy.parent / "link.bin").is_symlink()
    assert not copy.exists()
