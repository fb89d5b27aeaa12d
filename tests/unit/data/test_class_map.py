"""A data set is read with the classes of a model."""

from __future__ import annotations

import numpy as np
import pytest

from fcn_deploy.card import ModelCard
from fcn_deploy.data.class_map import with_map
from fcn_deploy.data.dataset import open_dataset
from fcn_deploy.data.options import DataOptions, open_for_model
from fcn_deploy.data.survey import count_labels
from fcn_deploy.errors import DataError
from tests.support.masks import write_masks

CARD = ModelCard("fcn8s", ("road", "sidewalk", "sky", "car"))


@pytest.fixture
def options(tmp_path):
    """Four classes, in rows, with a row that is unlabelled."""
    write_masks(tmp_path, (0, 1, 2, 3, 255), count=1, size=(5, 2))
    (tmp_path / "map.toml").write_text('Pavement = "sidewalk"\n"Lane Marking" = "road"\nBicyclist = ""\n')
    return DataOptions(
        tmp_path / "images",
        labels=tmp_path / "masks",
        classes=("Sky", "Pavement", "Lane Marking", "Bicyclist"),
        class_map=tmp_path / "map.toml",
    )


def test_labels_become_those_of_the_model_and_classes_without_one_unlabelled(options):
    dataset = open_for_model(CARD, options)
    assert dataset.classes == CARD.classes
    assert dataset[0].label[:, 0].tolist() == [2, 1, 0, 255, 255]
    assert dataset[0].label.dtype == np.uint8
    raw, label = dataset.read_label(0)
    assert (raw[:, 0].tolist(), label[:, 0].tolist()) == ([0, 1, 2, 3, 255], [2, 1, 0, 255, 255])
    assert count_labels(dataset).unlabelled == {3: 2, 255: 2}
    assert len(dataset.palette) == 4


def test_without_a_model_the_map_gives_the_classes_in_its_order(options, tmp_path):
    (tmp_path / "map.toml").write_text('Pavement = "ground"\n"Lane Marking" = "ground"\nBicyclist = ""\nSky = "sky"\n')
    whole = open_dataset(str(options.source), labels=str(options.labels), classes=options.classes)
    dataset = with_map(whole, tmp_path / "map.toml", None)
    assert dataset.classes == ("ground", "sky")
    assert dataset[0].label[:, 0].tolist() == [1, 0, 0, 255, 255]


def test_classes_that_the_data_do_not_tell_apart_count_as_one(options, tmp_path):
    with (tmp_path / "map.toml").open("a") as file:
        file.write('[model]\ncar = "road"\n')
    sample = open_for_model(CARD, options)[0]
    assert sample.counted(np.array([[0, 1, 2, 3]], np.uint8)).tolist() == [[0, 1, 2, 0]]
    whole = open_dataset(str(options.source), labels=str(options.labels), classes=options.classes)
    assert whole[0].counted(np.array([3])).tolist() == [3]
    with pytest.raises(DataError, match=r"has a table \[model\], and there is no model"):
        with_map(whole, tmp_path / "map.toml", None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('Pavment = "sidewalk"', r"maps 'Pavment', which is no class of .*did you mean Pavement"),
        (
            'Pavement = "sidewalks"',
            r"maps 'Pavement' to 'sidewalks', which is no class of the model.*did you mean side",
        ),
        ('Pavement = "sidewalk"', r"leaves out 'Lane Marking', .*name one, or \"\" for unlabelled"),
        (
            'Bicyclist = ""\n"Lane Marking" = "road"\nPavement = "road"\n[model]\ntruk = "car"',
            r"has 'truk' in \[model\]",
        ),
        ('Bicyclist = ""\n"Lane Marking" = "road"\nPavement = "road"\n[model]\ncar = "van"', r"has 'van' in \[model\]"),
        ('Pavement = "sidewalk"\npavement = "road"', r"has 'Pavement' and 'pavement', and a map takes them for one"),
        (
            'Bicyclist = ""\n"Lane Marking" = "road"\nPavement = "road"\n[model]\nCar = "road"\ncar = "sky"',
            r"has in \[model\] 'Car' and 'car'",
        ),
        (
            'Bicyclist = ""\n"Lane Marking" = "road"\nPavement = "road"\n[model]\nroad = "car"',
            r"has pixels become 'road', which \[model\] counts as 'car'; name that one",
        ),
        (
            'Bicyclist = ""\n"Lane Marking" = ""\nPavement = ""\n[model]\nroad = "car"\ncar = "sidewalk"',
            r"has pixels become 'car', which \[model\] counts as 'sidewalk'",
        ),
        ("Pavement = " + "[" * 5000, "nested more than 100 deep"),
        ("Pavement = 1", "must have lines of the form"),
        ("Pavement", "cannot be read as TOML"),
    ],
)
def test_a_map_that_does_not_fit_is_one_clear_error(options, tmp_path, text, words):
    (tmp_path / "map.toml").write_text(text)
    with pytest.raises(DataError, match=words):
        open_for_model(CARD, options)


def test_a_map_that_is_missing_is_an_error(options, tmp_path):
    (tmp_path / "map.toml").unlink()
    with pytest.raises(DataError, match=r"map\.toml does not exist"):
        open_for_model(CARD, options)


@pytest.mark.parametrize("classes", [("Sky", "sky"), None])
def test_classes_that_differ_in_capitals_alone_are_not_taken_for_one(options, tmp_path, classes):
    (tmp_path / "map.toml").write_text('Pavement = "Sky"\n"Lane Marking" = "sky"\nBicyclist = ""\nSky = "sky"\n')
    whole = open_dataset(str(options.source), labels=str(options.labels), classes=options.classes)
    with pytest.raises(DataError, match="'Sky' and 'sky', and a map takes them for one; rename one"):
        with_map(whole, tmp_path / "map.toml", classes)
