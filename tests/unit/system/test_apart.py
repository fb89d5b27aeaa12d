from __future__ import annotations

import os
from pathlib import Path

import pytest

from fcn_deploy.errors import OutputError
from fcn_deploy.system.apart import apart, claim, reads, reads_all
from fcn_deploy.system.files import atomic_path, check_writable, write_text


def _write_with_weights(target: Path) -> None:
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"graph")
        temporary.with_name(f"{target.name}.data").write_bytes(b"other weights")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "m.onnx").write_bytes(b"weights")
    return tmp_path / "m.onnx"


def _link(model: Path) -> Path:
    (model.parent / "link").symlink_to(model)
    return model.parent / "link"


def _hard_link(model: Path) -> Path:
    os.link(model, model.parent / "hard")
    return model.parent / "hard"


@pytest.mark.parametrize("name", [lambda model: model, _link, _hard_link])
@pytest.mark.parametrize("write", [check_writable, lambda path: write_text(path, "{}")])
def test_an_input_is_no_output_by_whatever_name(model, name, write):
    with apart():
        reads(model)
        with pytest.raises(OutputError, match="is an input of this command"):
            write(name(model))
    assert model.read_bytes() == b"weights"


def test_an_output_is_no_input_either(model):
    with apart():
        check_writable(model)
        with pytest.raises(OutputError, match="is an input of this command"):
            reads_all(lambda: [Path("absent"), model])


def test_companions_of_an_output_replace_no_input(model):
    weights = model.with_name("q.onnx.data")
    weights.write_bytes(b"the user's")
    with apart():
        reads(weights)
        with pytest.raises(OutputError, match=r"q\.onnx\.data is an input"):
            _write_with_weights(model.with_name("q.onnx"))
    assert weights.read_bytes() == b"the user's"
    assert not model.with_name("q.onnx").exists()


def test_what_was_written_may_be_read_and_written_again(model):
    target = model.with_name("q.onnx")
    with apart():
        reads(model)
        for text in ("one", "two"):
            claim(target)
            write_text(target, text)
        reads(target)
    with apart():
        reads(target)
        write_text(model, "of another command")


def test_calls_within_a_command_count_to_it(model):
    with apart():
        with apart():
            reads(model)
        with pytest.raises(OutputError):
            claim(model)
    claim(model)
