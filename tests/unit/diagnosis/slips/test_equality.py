"""Equal labels: of maps of two sizes, in blocks, and of scores that 8 bits cannot tell apart."""

from __future__ import annotations

import numpy as np
import pytest

from fcn_deploy.diagnosis.slips.equality import compare
from fcn_deploy.diagnosis.slips.ties import Ties

HALVES = np.repeat(np.array([[0, 1]], np.uint8), 8, 0).repeat(4, 1)


def test_shares_of_maps_of_two_sizes():
    assert compare(HALVES, HALVES[::2, ::2]).share == 1.0
    assert compare(HALVES.astype(np.int32) + 256, HALVES).share == 1.0  # written as uint8


def test_blocks_show_where_labels_differ():
    other = HALVES.copy()
    other[:4] = 7
    found = compare(HALVES, other)
    assert found.share == 0.5
    assert found.blocks.reshape(6, 6)[[0, -1]].tolist() == [[0.0] * 6, [1.0] * 6]


def test_ties_allow_every_label_whose_score_is_near_and_chance_is_taken_off():
    generator = np.random.default_rng(0)
    scores = generator.normal(size=(300, 24, 40)) + 100 * (np.arange(300) == 290)[:, None, None]
    scores[270] = scores[290] + generator.choice([-0.01, -50.0], (24, 40))
    near = scores[270] > scores[290] - 1
    tied = np.where(near, 270, 290)
    assert compare(Ties.of(scores), tied).share == pytest.approx(1.0)
    assert compare(Ties.of(scores), tied.astype(np.uint8)).share == pytest.approx(1.0)  # modulo 256
    assert abs(compare(Ties.of(scores), generator.permutation(tied.reshape(-1)).reshape(24, 40)).share) < 0.1
