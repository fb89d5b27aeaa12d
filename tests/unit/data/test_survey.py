"""What is said of label maps before they are used."""

from __future__ import annotations

import pytest

from fcn_deploy.data import labels
from fcn_deploy.data.dataset import open_dataset
from fcn_deploy.data.survey import check_labels, count_labels, percent
from fcn_deploy.errors import DataError, LabelError
from tests.support.masks import write_masks
from tests.support.recorded_progress import RecordedProgress


def opened(folder, classes, **options):
    return open_dataset(str(folder / "images"), labels=str(folder / "masks"), classes=classes, **options)


def said(dataset, training=True):
    notes = RecordedProgress()
    check_labels(dataset, training=training, progress=notes)
    return [line.split(": ", 1)[1] for line in notes.lines]


def test_pixels_and_images_of_each_class_are_counted(tmp_path):
    write_masks(tmp_path, (0, 1, 255), count=2, size=(3, 4))
    write_masks(tmp_path, (0,), count=1, size=(3, 4))
    counts = count_labels(opened(tmp_path, ["a", "b", "c"]))
    assert [counts.pixels[label] for label in range(3)] == [16, 4, 0]
    assert [counts.images[label] for label in range(3)] == [2, 1, 0]
    assert (counts.unlabelled, counts.labelled, counts.total, counts.maps) == ({255: 4}, 20, 24, 2)
    assert (counts.present, counts.missing) == (("a", "b"), ("c",))


def test_a_large_map_is_counted_in_pieces(tmp_path, monkeypatch):
    write_masks(tmp_path, (0, 1, 255), count=1, size=(30, 40))
    whole = count_labels(opened(tmp_path, ["a", "b"]))
    monkeypatch.setattr(labels, "BAND", 100)
    pieces = count_labels(opened(tmp_path, ["a", "b"]))
    assert (pieces, pieces.total) == (whole, 1200)


@pytest.mark.parametrize("training", [True, False])
def test_a_black_and_white_mask_asks_for_the_values_of_its_classes(tmp_path, training):
    dataset = opened(write_masks(tmp_path, (0, 0, 0, 255), size=(40, 8)), ["background", "polyp"])
    with pytest.raises(DataError) as caught:
        check_labels(dataset, training=training)
    assert str(caught.value).endswith(
        "class polyp has no pixel; 25 % of the pixels are 255, which is unlabelled; if 255 is a class, give "
        "--label-values 0,255"
    )
    right = opened(tmp_path, ["background", "polyp"], label_values=(0, 255))
    assert said(right) == []
    assert set(right[0].label.flat) == {0, 1}
    with pytest.raises(LabelError, match=r"expected 0 to 1 .* if 255 is a class, give --label-values 0,255"):
        opened(tmp_path, ["background", "polyp"], ignore_index=7)[0]


def test_one_class_next_to_255_can_be_scored_where_255_is_said_to_be_unlabelled(tmp_path):
    dataset = opened(write_masks(tmp_path, (0, 255), size=(40, 8)), ["background", "polyp"], ignore_index=255)
    assert said(dataset, training=False) == [
        "class polyp has no pixel",
        "50 % of the pixels are 255, which is unlabelled",
    ]
    with pytest.raises(DataError, match="class polyp has no pixel"):
        check_labels(dataset, training=True)


def test_classes_without_a_pixel_and_unlabelled_pixels_are_reported(tmp_path):
    assert said(opened(write_masks(tmp_path, (0, 1)), ["a", "b"])) == []
    assert said(opened(tmp_path, ["a", "b", "c"])) == ["class c has no pixel"]
    assert said(opened(tmp_path, ["a", "b", "c", "d"])) == ["classes c, d have no pixel"]
    assert said(open_dataset("synthetic:2")) == []


def test_labels_that_count_from_1_are_noticed(tmp_path):
    write_masks(tmp_path, (0, 1, 2, 3), size=(40, 8))
    assert said(opened(tmp_path, ["sky", "road", "grass"])) == [
        "25 % of the pixels are 3, which is unlabelled (if 3 is a class, name it; if classes count from 1, give "
        "--reduce-zero-label)"
    ]
    right = opened(tmp_path, ["sky", "road", "grass"], reduce_zero_label=True)
    assert right[0].label[::10, 0].tolist() == [255, 0, 1, 2]
    assert said(right) == ["25 % of the pixels are 0, which is unlabelled"]
    with pytest.raises(LabelError, match=r"label 3 .* give --reduce-zero-label"):
        opened(tmp_path, ["sky", "road", "grass"], ignore_index=0)[0]


def test_one_class_cannot_be_trained_and_can_be_scored(tmp_path):
    with pytest.raises(DataError, match=r"one class alone \(polyp\); .*--classes background,polyp"):
        check_labels(opened(write_masks(tmp_path, (0, 1)), ["polyp"]), training=True)
    sky = opened(write_masks(tmp_path / "sky", (0, 0)), ["sky", "road"])
    with pytest.raises(DataError, match=r"every labelled pixel is 'sky'; expected at least two classes"):
        check_labels(sky, training=True)
    assert said(sky, training=False) == ["class road has no pixel", "every labelled pixel is 'sky'"]
    with pytest.raises(DataError, match="no labelled pixel"):
        check_labels(opened(write_masks(tmp_path / "void", (255,)), ["sky", "road"]), training=True)


def test_a_label_map_that_cannot_be_used_stops_or_is_left_out(tmp_path):
    dataset = opened(write_masks(tmp_path, (0, 1)), ["a", "b"])
    (tmp_path / "masks/1.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"1\.png is empty"):
        count_labels(dataset)
    assert count_labels(dataset, on_error="skip").maps == 2
    assert count_labels(opened(tmp_path, ["a", "b"]), on_error="skip", most=1).maps == 1


@pytest.mark.parametrize(
    ("part", "words"), [(0, "0 %"), (1, "under 0.01 %"), (31, "0.031 %"), (9960, "10 %"), (100000, "100 %")]
)
def test_shares_have_two_digits(part, words):
    assert percent(part, 100000) == words
