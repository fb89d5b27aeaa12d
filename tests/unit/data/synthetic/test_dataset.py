import numpy as np
import pytest

from fcn_deploy.data.dataset import open_dataset
from fcn_deploy.data.synthetic.dataset import SYNTHETIC_CLASSES, SyntheticDataset


def test_a_scene_depends_on_seed_and_index_alone():
    few, many = SyntheticDataset(count=2, seed=5), SyntheticDataset(count=9, seed=5)
    later = many[1]
    assert np.array_equal(few[1].image, later.image)
    assert np.array_equal(few[1].label, later.label)
    assert few[1].name == later.name == "synthetic:5:1"


def test_scenes_differ_by_seed_and_by_index():
    images = [SyntheticDataset(count=3, seed=seed)[index].image for seed, index in ((0, 1), (1, 0), (0, 0))]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not np.array_equal(images[one], images[other])


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3), (33, 47), (97, 61)])
def test_scenes_have_any_size(size):
    sample = SyntheticDataset(count=1, size=size)[0]
    assert (sample.image.shape, sample.image.dtype) == ((*size, 3), np.uint8)
    assert (sample.label.shape, sample.label.dtype) == (size, np.uint8)


@pytest.fixture(scope="module")
def scenes():
    return [SyntheticDataset(count=24, seed=1)[index] for index in range(24)]


def test_every_class_is_there_and_thin_ones_are_rare(scenes):
    counts = sum(np.bincount(scene.label.ravel(), minlength=8) for scene in scenes)
    share = dict(zip(SYNTHETIC_CLASSES, counts / counts.sum(), strict=True))
    assert min(share[name] for name in ("sky", "building", "vegetation", "road")) > 0.08
    assert 0.003 < share["pole"] < 0.03
    assert 0.0005 < share["sign"] < 0.02
    assert min(share["car"], share["person"]) > 0.001


def test_poles_are_one_to_three_pixels_wide(scenes):
    widths = np.concatenate([run_lengths(scene.label == SYNTHETIC_CLASSES.index("pole")) for scene in scenes])
    assert set(widths.tolist()) >= {1, 2, 3}
    assert (widths <= 3).mean() > 0.98  # two poles side by side look like a wide one


def run_lengths(mask):
    """Lengths of the horizontal runs of true pixels."""
    steps = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(int), axis=1)
    return np.argwhere(steps == -1)[:, 1] - np.argwhere(steps == 1)[:, 1]


def test_colour_alone_does_not_tell_the_class(scenes):
    """A table from colour (3 bits per channel) to its commonest class, made on half the scenes, fails on the rest."""
    half = len(scenes) // 2
    votes = np.zeros((512, 8), int)
    for scene in scenes[:half]:
        np.add.at(votes, (colour_codes(scene.image), scene.label.ravel()), 1)
    guesses = votes.argmax(axis=1)
    right = np.mean([(guesses[colour_codes(scene.image)] == scene.label.ravel()).mean() for scene in scenes[half:]])
    assert 0.3 < right < 0.75


def colour_codes(image):
    return ((image >> 5).astype(int) @ [64, 8, 1]).ravel()


def test_sources_name_count_seed_and_size():
    assert len(open_dataset("synthetic")) == 32
    assert open_dataset("synthetic:3:7:33x47").name == "synthetic:3:7:33x47"
    assert open_dataset("synthetic:3:7:33x47")[2].image.shape == (33, 47, 3)
    assert open_dataset("synthetic:5").classes == SYNTHETIC_CLASSES
    assert len(open_dataset("synthetic:5").palette) == 8


def test_an_index_outside_ends_a_plain_loop():
    assert len(list(SyntheticDataset(count=2, size=(5, 7)))) == 2
