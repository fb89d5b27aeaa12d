"""What a model's card and a data set must agree in."""

from __future__ import annotations

import pytest

from fcn_deploy.card import ModelCard
from fcn_deploy.data.options import check_classes
from fcn_deploy.errors import DataError


def test_classes_must_agree_in_number_name_and_order():
    card = ModelCard("fcn8s", ("road", "pole", "sky"))
    check_classes(card, ("Road", "pole ", "sky"), "set")
    check_classes(ModelCard("fcn8s", ("class_0", "class_1")), ("road", "pole"), "set")
    check_classes(ModelCard("fcn8s", ("background", "car"), notes={"classes": "guessed"}), ("road", "pole"), "set")
    with pytest.raises(
        DataError, match=r"the model has 3 classes \(road, pole, sky\) and set has 4 \(a, b, c, \.\.\.\)"
    ):
        check_classes(card, tuple("abcd"), "set")
    with pytest.raises(DataError, match="class 1 is 'pole' for the model and 'sky' in set"):
        check_classes(card, ("road", "sky", "pole"), "set")
