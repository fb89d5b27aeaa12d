"""Random windows of labelled images."""

from __future__ import annotations

import numpy as np
import torch

from fcn_deploy.training.loading import Augmentation, augment, generator

FILL, IGNORE = (124, 116, 104), 255


def how(crop=(33, 47), scale=(1.0, 1.0), flip=False):
    return Augmentation(crop, scale, flip, FILL, IGNORE)


def picture(height, width):
    """An image whose red is its row, green its column and blue their sum, labelled (row + column) % 7."""
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([rows, columns, rows + columns], axis=2).astype(np.uint8)
    return image, ((rows + columns) % 7).astype(np.uint8)


def test_a_window_at_scale_one_is_a_piece_of_the_image_and_its_own_labels():
    image, label = picture(60, 80)
    pixels, labels = augment(image, label, how(), generator(0, 0, 0))
    top, left = int(pixels[0, 0, 0]), int(pixels[0, 0, 1])
    assert torch.equal(pixels, torch.from_numpy(image[top : top + 33, left : left + 47]))
    assert torch.equal(labels, torch.from_numpy(label[top : top + 33, left : left + 47].astype(np.int64)))


def test_windows_reach_every_edge_of_the_image():
    image, label = picture(35, 50)
    corners = {tuple(augment(image, label, how(), generator(0, 0, i))[0][0, 0, :2].tolist()) for i in range(200)}
    assert corners == {(row, column) for row in range(3) for column in range(4)}


def test_beyond_a_smaller_image_there_is_the_mean_colour_and_the_ignored_label():
    image, label = picture(20, 30)
    pixels, labels = augment(image, label, how(), generator(3, 1, 5))
    inside = labels != IGNORE
    assert int(inside.sum()) == 20 * 30
    assert torch.equal(pixels[~inside].unique(dim=0), torch.tensor([FILL], dtype=torch.uint8))
    assert torch.equal(pixels[inside], torch.from_numpy(image.reshape(-1, 3)))
    assert torch.equal(labels[inside], torch.from_numpy(label.reshape(-1).astype(np.int64)))


def test_mirroring_turns_image_and_labels_together_and_about_half_of_the_time():
    image, label = picture(33, 47)  # the whole image: only the mirror is random
    mirrored = 0
    for index in range(100):
        pixels, labels = augment(image, label, how(flip=True), generator(0, 0, index))
        turn = bool(pixels[0, 0, 1] != 0)
        mirrored += turn
        assert torch.equal(pixels, torch.from_numpy(image[:, ::-1].copy() if turn else image))
        assert torch.equal(labels, torch.from_numpy((label[:, ::-1] if turn else label).astype(np.int64)))
    assert 35 <= mirrored <= 65  # binomial(100, 1/2): three standard deviations


def test_a_window_of_one_pixel_is_mirrored_too():
    image, label = picture(60, 80)
    for index in range(8):
        pixels, labels = augment(image, label, how(crop=(1, 1), flip=True), generator(0, 0, index))
        assert pixels.shape == (1, 1, 3)
        assert labels.shape == (1, 1)


def test_magnification_by_two_repeats_each_label_in_a_block_of_two():
    image, label = picture(60, 80)
    _, labels = augment(image, label, how(crop=(34, 46), scale=(2.0, 2.0)), generator(0, 0, 0))
    blocks = labels.reshape(17, 2, 23, 2)
    assert torch.equal(blocks, blocks[:, :1, :, :1].expand_as(blocks))


def test_a_thing_keeps_its_place_under_its_label_when_the_image_is_resized():
    image = np.zeros((90, 120, 3), np.uint8)
    label = np.zeros((90, 120), np.uint8)
    image[30:60, 40:80], label[30:60, 40:80] = 255, 1
    for index in range(10):
        pixels, labels = augment(image, label, how(scale=(0.5, 2.0), flip=True), generator(0, 0, index))
        inside = labels != IGNORE
        bright = pixels[..., 0] > 127
        # bilinear and nearest may disagree by a pixel along the thing's border, never more
        assert int((bright != (labels == 1))[inside].sum()) <= 2 * (33 + 47)


def test_scales_stay_in_their_range():
    image, label = picture(200, 240)
    seen = []
    for index in range(100):
        pixels, _ = augment(image, label, how(scale=(0.5, 2.0)), generator(0, 0, index))
        columns = pixels[0, :, 1].float()
        seen.append(46 / float(columns[-1] - columns[0]))
    assert 0.45 < min(seen) < 0.6  # 47 columns of magnification s span 46 / s columns of the image, rounded
    assert 1.7 < max(seen) < 2.2


def test_the_same_seed_epoch_and_index_give_the_same_window_and_others_another():
    image, label = picture(300, 255)
    how_many = how(scale=(0.5, 2.0), flip=True)

    def first(seed, epoch, index):
        return augment(image, label, how_many, generator(seed, epoch, index))[0]

    assert torch.equal(first(1, 2, 3), first(1, 2, 3))
    for other in ((0, 2, 3), (1, 1, 3), (1, 2, 4)):
        assert not torch.equal(first(1, 2, 3), first(*other))


def test_wide_labels_are_ignored_as_minus_one():
    image, label = picture(20, 30)
    wide = Augmentation((33, 47), (1.0, 1.0), False, FILL, -1)
    _, labels = augment(image, label.astype(np.int32) + 300, wide, generator(0, 0, 0))
    assert sorted(labels.unique().tolist()) == [-1, *range(300, 307)]
