import numpy as np
import pytest
from PIL import Image

from fcn_deploy.card import VOC_CLASSES
from fcn_deploy.data.dataset import iterate, open_dataset
from fcn_deploy.errors import DataError, ImageError, LabelError
from tests.support.locked_folder import lock
from tests.support.recorded_progress import RecordedProgress


def save_pair(image_path, label_path, label, size=None):
    height, width = size or np.shape(label)
    for path in (image_path, label_path):
        path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((height, width, 3), (200, 100, 50), np.uint8)).save(image_path)
    Image.fromarray(np.asarray(label, np.uint8)).save(label_path)


@pytest.fixture
def listed(tmp_path):
    """A list of three pairs, 3 classes, images 5 x 3."""
    lines = []
    for index in range(3):
        save_pair(tmp_path / f"images/{index}.jpg", tmp_path / f"labels/{index}.png", np.full((3, 5), index))
        lines.append(f"images/{index}.jpg labels/{index}.png\n")
    (tmp_path / "val.txt").write_text("".join(lines))
    (tmp_path / "classes.txt").write_text("road\nsky\ntree\n")
    return tmp_path / "val.txt"


def test_a_list_of_pairs_is_read_relative_to_its_folder(listed):
    dataset = open_dataset(str(listed))
    assert (len(dataset), dataset.classes, dataset.name) == (3, ("road", "sky", "tree"), str(listed))
    assert len(dataset.palette) == 3
    sample = dataset[2]
    assert (sample.image.shape, sample.image.dtype) == ((3, 5, 3), np.uint8)
    assert sample.label.tolist() == [[2] * 5] * 3
    assert sample.name.endswith("2.jpg")


def test_paths_with_blanks_are_quoted_or_parted_by_a_tab(tmp_path):
    save_pair(tmp_path / "my images/a b.png", tmp_path / "my labels/a.png", [[0, 1]])
    (tmp_path / "tab.txt").write_text("# a remark\n\nmy images/a b.png\tmy labels/a.png\r\n")
    (tmp_path / "quoted.txt").write_text('"my images/a b.png"   "my labels/a.png"\n')
    for name in ("tab.txt", "quoted.txt"):
        dataset = open_dataset(str(tmp_path / name), classes=["a", "b"])
        assert dataset[0].label.tolist() == [[0, 1]]


def test_a_list_of_images_alone_has_no_labels_and_needs_no_classes(listed):
    listed.write_text("images/0.jpg\nimages/1.jpg\n")
    (listed.parent / "classes.txt").unlink()
    dataset = open_dataset(str(listed))
    assert (len(dataset), dataset.classes, dataset[1].label) == (2, (), None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "lists no images"),
        ("a.jpg b.png\nmy image.jpg my label.png\n", "line 2 of .*val.txt has 4 parts; expected 'image label'"),
        ("a.jpg b.png\n\nc.jpg\n", "line 3 of .*val.txt has 1 of the parts"),
        ("a.jpg\nb.jpg b.png\n", "line 2 of .*val.txt has 2 of the parts"),
        ("a.jpg b.png\n", "lists 1 images and none exists .first: .*a.jpg.; paths are relative to the list's folder"),
    ],
)
def test_a_malformed_list_is_one_clear_error(listed, text, words):
    listed.write_text(text)
    with pytest.raises(DataError, match=words) as caught:
        open_dataset(str(listed))
    assert "\n" not in str(caught.value)


def test_a_data_set_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.txt does not exist"):
        open_dataset(str(tmp_path / "nowhere.txt"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty holds no image files"):
        open_dataset(str(tmp_path / "empty"))


def test_classes_without_names_are_asked_for(listed):
    (listed.parent / "classes.txt").unlink()
    with pytest.raises(DataError, match=r"put classes\.txt .* or give the class names \(--classes\)"):
        open_dataset(str(listed))
    assert open_dataset(str(listed), classes=["a", "b", "c"]).classes == ("a", "b", "c")


def test_given_classes_win_over_those_next_to_the_list(listed):
    assert open_dataset(str(listed), classes=["a", "b", "c", "d"]).classes == ("a", "b", "c", "d")


def test_a_limit_takes_samples_evenly_over_the_data_set(listed):
    assert [sample.label[0, 0] for sample in iterate(open_dataset(str(listed), limit=2))] == [0, 1]
    assert len(open_dataset(str(listed), limit=9)) == 3
    few = open_dataset("synthetic:10", limit=4)
    assert [few[index].name for index in range(4)] == [f"synthetic:0:{index}" for index in (0, 2, 5, 7)]
    assert few.classes == open_dataset("synthetic:10").classes
    with pytest.raises(DataError, match="limit is 0"):
        open_dataset("synthetic", limit=0)


def test_image_and_label_of_different_sizes_are_named_with_both(listed):
    save_pair(listed.parent / "images/1.jpg", listed.parent / "labels/1.png", np.zeros((3, 5)), size=(4, 7))
    with pytest.raises(LabelError, match=r"1\.png is 5 x 3 and its image 1\.jpg 7 x 4"):
        open_dataset(str(listed))[1]


def test_too_few_classes_are_an_error_that_names_the_file_and_the_label(listed):
    dataset = open_dataset(str(listed), classes=["road"])
    assert dataset[1].label.tolist() == [[255] * 5] * 3
    with pytest.raises(LabelError, match=r"2\.png has label 2 \(15 pixels\); expected 0 to 0 for 1 classes"):
        dataset[2]


def test_an_unreadable_image_stops_or_is_skipped_and_counted(listed):
    (listed.parent / "images/1.jpg").write_bytes(b"\xff\xd8\xff")
    dataset = open_dataset(str(listed))
    with pytest.raises(ImageError, match=r"1\.jpg"):
        list(iterate(dataset))
    notes = RecordedProgress()
    kept = list(iterate(dataset, on_error="skip", progress=notes))
    assert [sample.label[0, 0] for sample in kept] == [0, 2]
    assert len(notes.lines) == 2
    assert notes.lines[0].startswith("skipped: ")
    assert "1.jpg" in notes.lines[0]
    assert notes.lines[1] == f"1 of 3 samples of {listed} were left out"


def test_skipping_every_sample_is_an_error(listed):
    for index in range(3):
        (listed.parent / f"images/{index}.jpg").write_bytes(b"")
    with pytest.raises(DataError, match="none of the 3 samples"):
        list(iterate(open_dataset(str(listed)), on_error="skip"))


@pytest.fixture
def folders(tmp_path):
    for name in ("b", "a", "c"):
        save_pair(tmp_path / f"img/{name}.jpg", tmp_path / f"lbl/{name}.png", [[ord(name) - ord("a"), 0]])
    return tmp_path


def test_two_folders_are_matched_by_stem_in_the_order_of_names(folders):
    (folders / "img/notes.txt").write_text("not an image")
    dataset = open_dataset(str(folders / "img"), labels=str(folders / "lbl"), classes=["x", "y", "z"])
    assert [dataset[index].label[0, 0] for index in range(3)] == [0, 1, 2]


def test_class_names_are_found_in_or_above_the_folders(folders):
    (folders / "classes.txt").write_text("x\ny\nz\n")
    assert open_dataset(str(folders / "img"), labels=str(folders / "lbl")).classes == ("x", "y", "z")


def test_files_without_a_partner_are_left_out_and_reported(folders):
    (folders / "lbl/b.png").unlink()
    (folders / "img/a.jpg").unlink()
    notes = RecordedProgress()
    dataset = open_dataset(str(folders / "img"), labels=str(folders / "lbl"), classes=list("xyz"), progress=notes)
    assert (len(dataset), dataset[0].label[0, 0]) == (1, 2)
    assert notes.lines[0] == f"1 files of {folders / 'img'} have no label and are left out (b)"
    assert notes.lines[1] == f"1 files of {folders / 'lbl'} have no image and are left out (a)"


def test_folders_that_do_not_match_are_an_error(folders):
    for name in "abc":
        (folders / f"lbl/{name}.png").rename(folders / f"lbl/{name}_colour.png")
    with pytest.raises(DataError, match=r"a\.jpg and a_colour\.png"):
        open_dataset(str(folders / "img"), labels=str(folders / "lbl"), classes=list("xyz"))
    with pytest.raises(DataError, match="nowhere does not exist"):
        open_dataset(str(folders / "img"), labels=str(folders / "nowhere"), classes=list("xyz"))


def test_two_files_of_one_stem_are_an_error(folders):
    Image.new("RGB", (2, 1)).save(folders / "img/a.png")
    with pytest.raises(DataError, match=r"a\.jpg and a\.png; expected one file a name"):
        open_dataset(str(folders / "img"), labels=str(folders / "lbl"), classes=list("xyz"))


def test_a_folder_or_a_file_of_images_alone_has_no_labels(folders):
    assert [sample.label for sample in iterate(open_dataset(str(folders / "img")))] == [None] * 3
    assert open_dataset(str(folders / "img/a.jpg"))[0].image.shape == (1, 2, 3)
    one = open_dataset(str(folders / "img/c.jpg"), labels=str(folders / "lbl/c.png"), classes=list("xyz"))
    assert one[0].label.tolist() == [[2, 0]]


@pytest.fixture
def devkit(tmp_path):
    root = tmp_path / "VOCdevkit/VOC2012"
    label = Image.fromarray(np.array([[0, 15, 255], [20, 0, 255]], np.uint8))
    label.putpalette(list(range(256)) * 3)
    for name in ("2007_000032", "2007_000039"):
        save_pair(root / f"JPEGImages/{name}.jpg", root / f"SegmentationClass/{name}.png", np.zeros((2, 3)))
        label.save(root / f"SegmentationClass/{name}.png")
    splits = root / "ImageSets/Segmentation"
    splits.mkdir(parents=True)
    (splits / "val.txt").write_text("2007_000032\n")
    (splits / "trainval.txt").write_text("2007_000032\n2007_000039\n")
    (splits / "train.txt").write_text("")
    return tmp_path / "VOCdevkit"


def test_the_voc_layout_opens_at_its_root_or_above(devkit):
    for root in (devkit / "VOC2012", devkit, devkit.parent):
        dataset = open_dataset(str(root))
        assert (len(dataset), dataset.classes) == (1, VOC_CLASSES)
        assert dataset[0].label.tolist() == [[0, 15, 255], [20, 0, 255]]
    assert len(open_dataset(str(devkit), split="trainval")) == 2


def test_voc_labels_in_colour_mean_the_same(devkit):
    rgb = np.array([[[0, 0, 0], [192, 128, 128], [224, 224, 192]]] * 2, np.uint8)
    Image.fromarray(rgb).save(devkit / "VOC2012/SegmentationClass/2007_000032.png")
    assert open_dataset(str(devkit))[0].label.tolist() == [[0, 15, 255]] * 2


def test_a_split_that_is_missing_or_empty_is_an_error(devkit):
    with pytest.raises(DataError, match=r"no split 'test' \(found: train, trainval, val\)"):
        open_dataset(str(devkit), split="test")
    with pytest.raises(DataError, match=r"train\.txt lists no images"):
        open_dataset(str(devkit), split="train")


def test_colours_of_the_class_list_decode_labels_and_ignored_ones_are_unlabelled(tmp_path):
    save_pair(tmp_path / "a.png", tmp_path / "l.png", [[0, 0, 0]])
    coded = np.array([[[1, 2, 3], [0, 0, 0], [4, 5, 6]]], np.uint8)
    Image.fromarray(coded).save(tmp_path / "l.png")
    (tmp_path / "val.txt").write_text("a.png l.png\n")
    (tmp_path / "classes.txt").write_text("sky 4 5 6\nroad 1 2 3\nignore 0 0 0\n")
    dataset = open_dataset(str(tmp_path / "val.txt"))
    assert dataset.palette == ((4, 5, 6), (1, 2, 3))
    assert dataset[0].label.tolist() == [[1, 255, 0]]
    assert open_dataset(str(tmp_path / "val.txt"), ignore_index=1)[0].label.tolist() == [[255, 255, 0]]


def test_camvid_opens_with_no_other_argument(camvid):
    dataset = open_dataset(str(camvid / "val.txt"))
    assert (len(dataset), len(dataset.classes)) == (101, 11)
    sample = dataset[50]
    assert sample.image.shape == (360, 480, 3)
    assert sample.label.shape == (360, 480)
    found = set(np.unique(sample.label).tolist())
    assert found <= {*range(11), 255}
    assert len(found) > 5


@pytest.mark.parametrize("ignore_index", [None, -1, 65535, 0, 7])
def test_colours_marked_as_unlabelled_stay_so_under_any_ignore_index(ignore_index, tmp_path):
    label = [[[1, 1, 1], [2, 2, 2], [0, 0, 0]]]
    save_pair(tmp_path / "a.jpg", tmp_path / "a.png", label, (1, 3))
    (tmp_path / "val.txt").write_text("a.jpg a.png\n")
    (tmp_path / "classes.txt").write_text("road 1 1 1\nsky 2 2 2\nignore 0 0 0\n")
    found = open_dataset(str(tmp_path / "val.txt"), ignore_index=ignore_index)[0].label
    assert found.dtype == np.uint8
    assert found.tolist() == [[255 if ignore_index == 0 else 0, 1, 255]]


def test_a_value_of_no_class_is_refused_among_colours(tmp_path):
    save_pair(tmp_path / "a.jpg", tmp_path / "a.png", [[0, 1, 255]])
    (tmp_path / "val.txt").write_text("a.jpg a.png\n")
    (tmp_path / "classes.txt").write_text("road 1 1 1\nsky 2 2 3\nignore 0 0 0\n")
    with pytest.raises(LabelError, match=r"has label 255 \(1 pixels\)"):
        open_dataset(str(tmp_path / "val.txt"), ignore_index=-1)[0]


def test_a_list_does_not_take_a_folder_of_labels(listed):
    with pytest.raises(DataError, match=r"masks would not be looked at: .* and \S+val\.txt is a list"):
        open_dataset(str(listed), labels="masks")


@pytest.mark.parametrize("source", ["val.txt", "images", "images/0.jpg", "."])
def test_a_data_set_in_a_folder_that_may_not_be_entered(source, listed, monkeypatch):
    lock(monkeypatch, listed.parent)
    with pytest.raises(DataError, match=r"cannot read .*: permission denied"):
        open_dataset(f"{listed.parent}/{source}")


def test_an_image_in_a_folder_that_may_not_be_entered(listed, monkeypatch):
    dataset = open_dataset(str(listed))
    lock(monkeypatch, listed.parent / "images")
    with pytest.raises(ImageError, match=r"0\.jpg cannot be read: permission denied"):
        dataset[0]
