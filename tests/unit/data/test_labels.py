from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcn_deploy.data import labels as module
from fcn_deploy.data.labels import LabelRule
from fcn_deploy.errors import DataError, LabelError

FILE = Path("label.png")


def test_255_and_one_past_the_last_class_are_unlabelled():
    raw = np.array([[0, 10, 11], [255, 5, 1]], np.uint8)
    labels = LabelRule(11).apply(raw, FILE)
    assert labels.dtype == np.uint8
    assert labels.tolist() == [[0, 10, 255], [255, 5, 1]]
    assert raw[0, 2] == 11


def test_an_explicit_ignore_index_is_the_only_unlabelled_value():
    rule = LabelRule(3, ignore_index=0)
    assert rule.apply(np.array([[0, 1, 2]], np.uint8), FILE).tolist() == [[255, 1, 2]]
    for value in (3, 255):
        with pytest.raises(LabelError, match=f"label {value} "):
            rule.apply(np.array([[value]], np.uint8), FILE)


def test_labels_outside_the_classes_are_named_with_their_counts():
    raw = np.array([[0, 12, 40], [40, 40, 11]], np.uint8)
    with pytest.raises(LabelError) as caught:
        LabelRule(11).apply(raw, Path("scene 7.png"))
    message = str(caught.value)
    assert message.startswith(
        "scene 7.png has label 12 (1 pixels), 40 (3 pixels); expected 0 to 10 for 11 classes: name the missing classes"
    )
    assert "\n" not in message


def test_many_wrong_labels_are_summed_up():
    with pytest.raises(LabelError, match=r"label 3 \(1 pixels\).* and 6 more values"):
        LabelRule(2).apply(np.arange(3, 13, dtype=np.uint8)[None], FILE)


def test_above_255_classes_labels_are_int32_and_unlabelled_is_minus_one():
    raw = np.array([[0, 255, 299], [300, 65535, 256]], np.uint16)
    labels = LabelRule(300).apply(raw, FILE)
    assert labels.dtype == np.int32
    assert labels.tolist() == [[0, 255, 299], [-1, -1, 256]]
    assert LabelRule(300).apply(np.array([[-1, 7]], np.int32), FILE).tolist() == [[-1, 7]]
    with pytest.raises(LabelError, match="label 301 "):
        LabelRule(300).apply(np.array([[301]], np.uint16), FILE)


def test_negative_labels_are_outside_the_classes():
    with pytest.raises(LabelError, match="label -2 "):
        LabelRule(3).apply(np.array([[-2, 1]], np.int32), FILE)


@given(
    num_classes=st.integers(1, 300),
    ignore_index=st.none() | st.integers(0, 300),
    values=st.lists(st.integers(0, 310), min_size=1, max_size=6),
    wide=st.booleans(),
)
def test_every_value_is_a_class_or_unlabelled_or_an_error(num_classes, ignore_index, values, wide):
    raw = np.array([values if wide else [value % 256 for value in values]], np.uint16 if wide else np.uint8)
    unlabelled = {ignore_index} if ignore_index is not None else {num_classes, 255 if num_classes <= 255 else 65535}
    known = [value in unlabelled or value < num_classes for value in raw[0].tolist()]
    rule = LabelRule(num_classes, ignore_index)
    if not all(known):
        with pytest.raises(LabelError):
            rule.apply(raw, FILE)
        return
    nothing = 255 if num_classes <= 255 else -1
    assert rule.apply(raw, FILE)[0].tolist() == [nothing if value in unlabelled else value for value in raw[0].tolist()]


def test_each_class_may_have_a_value_of_its_own():
    rule = LabelRule.of(3, values=[255, 0, 30])
    assert rule.apply(np.array([[0, 255, 30]], np.uint8), FILE).tolist() == [[1, 0, 2]]
    with pytest.raises(LabelError, match=r"label 1 \(1 pixels\); expected 255,0,30 for 3 classes"):
        rule.apply(np.array([[1, 0]], np.uint8), FILE)
    assert LabelRule.of(2, values=[0, 1]).apply(np.array([[0, 255, 1]], np.uint8), FILE).tolist() == [[0, 255, 1]]
    assert LabelRule.of(2, 9, [7, 8]).apply(np.array([[9, 8, 7]], np.uint8), FILE).tolist() == [[255, 1, 0]]


def test_zero_may_be_unlabelled_and_the_classes_count_from_1():
    rule = LabelRule.of(150, reduce_zero_label=True)
    assert rule.apply(np.array([[0, 1, 150, 255]], np.uint8), FILE).tolist() == [[255, 0, 149, 255]]
    with pytest.raises(LabelError, match="label 151"):
        rule.apply(np.array([[151]], np.uint8), FILE)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"values": [0, 255], "reduce_zero_label": True}, "exclude each other"),
        ({"values": [0, 0]}, "has a value twice"),
        ({"values": [0, 255], "ignore_index": 255}, "or the one of --ignore-index"),
        ({"values": [0, 1, 2]}, "--label-values 0,1,2 has 3 values for 2 classes"),
        ({"values": [0]}, "--label-values 0 has 1 value for 2 classes"),
    ],
)
def test_a_rule_that_contradicts_itself_is_refused(options, words):
    with pytest.raises(DataError, match=words):
        LabelRule.of(2, **options)


def test_a_map_is_the_same_in_pieces_as_whole(monkeypatch):
    raw = np.random.default_rng(0).integers(0, 4, (31, 17)).astype(np.uint8)
    raw[5, 6] = raw[30, 16] = 9
    rule, whole = LabelRule(4, ignore_index=9), LabelRule(4, ignore_index=9).apply(raw, FILE)
    monkeypatch.setattr(module, "BAND", 60)
    assert [rows.start for rows in module.bands((31, 17))][:3] == [0, 3, 6]
    assert np.array_equal(rule.apply(raw, FILE), whole)
    with pytest.raises(LabelError, match=r"label 9 \(2 pixels\)"):
        LabelRule(4).apply(raw, FILE)
    assert LabelRule(2).apply(np.zeros((0, 5), np.uint8), FILE).shape == (0, 5)
