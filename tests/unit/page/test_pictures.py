"""Photographs and label maps as data URIs."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from fcn_deploy.page.pictures import labels_uri, photo_uri
from tests.support.worst_frames import PALETTE


def opened(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def test_labels_become_their_colours_and_what_is_no_class_becomes_transparent():
    pixels = opened(labels_uri(np.array([[0, 2, 255]], np.uint8), PALETTE))
    assert pixels.tolist() == [[[10, 20, 30, 255], [70, 80, 90, 255], [0, 0, 0, 0]]]
    wide = opened(labels_uri(np.array([[1, -1]], np.int32), PALETTE))
    assert wide.tolist() == [[[40, 50, 60, 255], [0, 0, 0, 0]]]


def test_a_photograph_is_a_small_jpeg():
    image = np.full((33, 47, 3), (200, 100, 50), np.uint8)
    pixels = opened(photo_uri(image))
    assert pixels.shape == (33, 47, 3)
    # quality 85 of a plain colour
    assert abs(pixels.astype(int) - image).max() <= 3
