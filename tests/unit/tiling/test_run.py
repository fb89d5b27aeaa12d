"""Tiles put together: labels, bands, regions, and what a smaller halo changes."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from fcn_deploy.errors import GraphError, RunnerError
from fcn_deploy.graph.session import open_cpu_session
from fcn_deploy.tiling.plan import plan_tiles
from fcn_deploy.tiling.receptive_field.compute import ReceptiveField, receptive_field_of
from fcn_deploy.tiling.run import Disagreement, Region, label_bands, label_region, measure_disagreement, read_window
from fcn_deploy.tiling.windows import ArrayWindows
from tests.support.contract_graphs import CARD, small_graph
from tests.support.random_nets import Layer, chain
from tests.support.recorded_progress import RecordedProgress

# A label is what the red values within two pixels sum to: 5x5 with zeros around, as a convolution has them.
FIELD = ReceptiveField(chain((Layer("Conv", 5, before=2, after=2),)))
IMAGE = np.random.default_rng(4).integers(0, 256, (61, 83, 3)).astype(np.uint8)


def summed(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    padded = np.pad(images[..., 0], ((0, 0), (2, 2), (2, 2)))
    return np.lib.stride_tricks.sliding_window_view(padded, (5, 5), (1, 2)).sum((3, 4)).astype(np.uint8)


WHOLE = summed(IMAGE[None])[0]


@pytest.mark.parametrize("tile", [6, 7, 16, 61, 82, 83, 200])
@pytest.mark.parametrize("batch", [1, 3])
def test_tiles_give_the_labels_of_the_whole_image(tile, batch):
    bands = label_bands(summed, ArrayWindows(IMAGE), plan_tiles(FIELD, 61, 83, tile), batch=batch)
    labels = np.concatenate(list(bands))
    assert labels.dtype == np.uint8
    assert np.array_equal(labels, WHOLE)


def test_all_calls_have_one_shape_but_for_the_last_batch_of_a_row():
    shapes = []

    def noted(images):
        shapes.append(images.shape)
        return summed(images)

    plan = plan_tiles(FIELD, 61, 83, 20)
    assert len(list(label_bands(noted, ArrayWindows(IMAGE), plan, batch=4))) == len(plan.rows.starts)
    assert len(plan.columns.starts) == 5
    assert set(shapes) == {(4, *plan.shape, 3), (1, *plan.shape, 3)}


def test_bands_come_from_the_top_and_hold_whole_rows():
    plan = plan_tiles(FIELD, 61, 83, 20)
    bands = list(label_bands(summed, ArrayWindows(IMAGE), plan))
    assert [len(band) for band in bands] == [last - first for first, last in pairwise(plan.rows.seams)]
    assert np.array_equal(np.concatenate(bands), WHOLE)


def test_a_region_runs_only_the_tiles_that_it_needs():
    plan, calls = plan_tiles(FIELD, 61, 83, 20), []

    def counted(images):
        calls.append(images)
        return summed(images)

    part = label_region(counted, ArrayWindows(IMAGE), plan, Region(17, 30, 19, 33))
    assert np.array_equal(part, WHOLE[17:19, 30:33])
    assert len(calls) <= 4 < plan.windows


def test_beyond_the_image_its_last_row_and_column_repeat():
    window = read_window(ArrayWindows(IMAGE), 59, 80, 4, 5)
    assert np.array_equal(window[..., 0], IMAGE[[59, 60, 60, 60]][:, [80, 81, 82, 82, 82], 0])


def test_labels_of_another_shape_are_an_error():
    with pytest.raises(RunnerError, match=r"labels of tiles are \[1, 10, 10\]; expected \[1, "):
        next(label_bands(lambda images: images[:, :10, :10, 0], ArrayWindows(IMAGE), plan_tiles(FIELD, 61, 83, 20)))


def test_a_smaller_halo_is_measured_against_exact_tiles():
    plan, exact = plan_tiles(FIELD, 61, 83, 20, halo=0), plan_tiles(FIELD, 61, 83, 20)
    small = np.concatenate(list(label_bands(summed, ArrayWindows(IMAGE), plan)))
    every = measure_disagreement(summed, ArrayWindows(IMAGE), plan, exact, sample=None)
    assert every == Disagreement(np.count_nonzero(small != WHOLE), WHOLE.size, exact.windows, exact.windows)
    assert every.differing > 0
    some = measure_disagreement(summed, ArrayWindows(IMAGE), plan, exact, sample=3)
    assert (some.tiles, some.of_tiles) == (3, exact.windows)
    assert 0 < some.pixels < WHOLE.size
    assert str(Disagreement(3, 1200, 3, 20)) == (
        "0.250% of 1,200 labels differ from the whole image's (3 of 20 exact tiles looked at)"
    )


def test_tiles_follow_a_network_size_that_is_a_factor(tmp_path):
    ir.save(small_graph(replace(CARD, network_size="0.5"), outputs=("labels", "confidence")), tmp_path / "half.onnx")
    field, session = receptive_field_of(str(tmp_path / "half.onnx"), CARD), open_cpu_session(tmp_path / "half.onnx")
    image = np.random.default_rng(5).integers(0, 256, (40, 56, 3)).astype(np.uint8)

    def infer(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        labels: NDArray[np.uint8] = session.run(["labels"], {"image": images})[0]
        return labels

    plan = plan_tiles(field, 40, 56, 24)
    assert (plan.exact, plan.windows > 4, field.divisor) == (True, True, 2)
    assert np.array_equal(np.concatenate(list(label_bands(infer, ArrayWindows(image), plan))), infer(image[None])[0])


@pytest.mark.parametrize("size", ["512x1024", "longest:512"])
def test_tiles_of_another_network_size_are_refused_in_one_line(size):
    with pytest.raises(GraphError, match=rf"m.onnx computes each image at the network size {size}, so a tile would be"):
        receptive_field_of("m.onnx", replace(CARD, network_size=size))


@pytest.mark.parametrize(("seconds", "lines"), [(0.001, 0), (3.0, 1), (600.0, 1)])
def test_how_long_many_tiles_take_is_printed_after_the_first(seconds, lines, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("fcn_deploy.tiling.run.time.monotonic", lambda: clock[0])

    def slow(images):
        clock[0] += seconds
        return summed(images)

    progress = RecordedProgress()
    plan = plan_tiles(FIELD, 61, 83, 16)
    list(label_bands(slow, ArrayWindows(IMAGE), plan, progress))
    left = plan.windows - 2
    words = {3.0: f"about {left * 3 / 60:.0f} minute", 600.0: f"about {left / 6:.1f} hours"}
    assert len(progress.lines) == lines
    if lines:
        assert progress.lines[0].startswith(words[seconds])
        assert progress.lines[0].endswith(f"for the other {left} tiles")
