"""The picture of six overlays."""

from __future__ import annotations

import numpy as np
from PIL import Image

from fcn_deploy.data.dataset import open_dataset
from fcn_deploy.data_check.check import check_data
from fcn_deploy.data_check.contact_sheet import GAP, LINE, TILE, UNLABELLED, write_contact_sheet
from tests.support.masks import write_masks


def opened(folder, values=(0, 1, 255), count=8, **more):
    write_masks(folder, values, count=count, size=(30, 40))
    (folder / "classes.txt").write_text("a 200 0 0\nb 0 200 0\n")
    return open_dataset(str(folder / "images"), labels=str(folder / "masks"), **more)


def test_six_overlays_have_the_colours_of_the_classes_half_over_the_image(tmp_path):
    dataset = opened(tmp_path)
    write_contact_sheet(dataset, range(8), tmp_path / "sheet.png")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png")).astype(int)
    assert sheet.shape == (GAP + 2 * (TILE[1] + LINE + GAP) + LINE + GAP, GAP + 3 * (TILE[0] + GAP), 3)
    assert np.abs(sheet[GAP + 20, GAP + 200] - (100, 0, 0)).max() <= 2  # class a over black
    assert np.abs(sheet[GAP + 150, GAP + 200] - (30, 130, 30)).max() <= 2  # class b over grey 60
    stripes = {tuple(pixel) for pixel in sheet[GAP + 280, GAP : GAP + 24].tolist()}
    assert len(stripes) == 2  # unlabelled: a colour over grey 120, and the image
    assert (120, 120, 120) in stripes
    legend = {tuple(pixel) for pixel in sheet[-GAP - LINE :].reshape(-1, 3).tolist()}
    assert {(200, 0, 0), (0, 200, 0), UNLABELLED} <= legend


def test_few_images_and_images_alone_are_drawn_too(tmp_path):
    dataset = opened(tmp_path, (0, 1), count=2)
    write_contact_sheet(dataset, [1], tmp_path / "one.png")
    assert Image.open(tmp_path / "one.png").width == 2 * GAP + TILE[0]
    found = check_data(tmp_path / "images", sheet=tmp_path / "alone.png")
    assert found.sheet == tmp_path / "alone.png"
    assert Image.open(tmp_path / "alone.png").width == GAP + 2 * (TILE[0] + GAP)
