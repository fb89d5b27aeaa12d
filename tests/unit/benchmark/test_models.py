"""What several files of one benchmark are called, and that they fit each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from fcn_deploy.benchmark.models import BenchModel, check_models, labels_of
from fcn_deploy.card import ModelCard
from fcn_deploy.errors import DataError
from fcn_deploy.sources.model_source import ModelSource


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["fcn8s.onnx"], [""]),
        (["fcn8s.onnx", "searched.int8.onnx"], ["fcn8s", "searched.int8"]),
        (["fcn8s.onnx", "fcn16s.onnx", "fcn8s.engine"], ["fcn8s.onnx", "fcn16s", "fcn8s.engine"]),
        (["a/best.onnx", "b/best.onnx", "c.onnx"], ["a/best", "b/best", "c"]),
        (["x/a/m.onnx", "y/a/m.onnx"], ["x/a/m", "y/a/m"]),
    ],
)
def test_a_file_is_called_by_as_much_of_its_name_as_tells_it_apart(names, labels):
    assert labels_of([Path(name) for name in names]) == tuple(labels)


def test_a_file_given_twice_has_a_label_all_the_same():
    assert len(labels_of([Path("m.onnx"), Path("m.onnx")])) == 2


def model(tmp_path: Path, name: str, *classes: str) -> BenchModel:
    (tmp_path / name).write_bytes(b"")
    return BenchModel(ModelSource(tmp_path / name), name, (), ModelCard("fcn8s", classes))


def test_files_of_other_classes_are_refused_with_both_lists(tmp_path):
    first = model(tmp_path, "a.onnx", "sky", "road")
    check_models([first, model(tmp_path, "b.onnx", "Sky", "road")])
    with pytest.raises(DataError) as caught:
        check_models([first, model(tmp_path, "c.onnx", "sky", "road", "car")])
    message = str(caught.value).replace(f"{tmp_path}/", "")
    assert message == (
        "a.onnx has 2 classes (sky, road) and c.onnx has 3 (sky, road, car); compare files of the same classes"
    )
