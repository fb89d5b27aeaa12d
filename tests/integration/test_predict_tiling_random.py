"""Sides and tiles drawn at random, for every network: tiles have the labels of the whole image."""

from __future__ import annotations

import random

import pytest

from fcn_deploy.tiling.plan import smallest_tile
from fcn_deploy.tiling.receptive_field.compute import receptive_field_of
from tests.integration.test_predict_tiling import OTHERS, check, network

NETWORKS = [("fcn8s", {}), ("fcn8s-caffe", {})]
NETWORKS += [(name, {}) for name in OTHERS if "resnet" not in name]
NETWORKS += [(name, {"head": "pool5"}) for name in ("fcn8s", "fcn16s", "fcn32s")]


@pytest.mark.long
@pytest.mark.parametrize(("name", "options"), [*NETWORKS, ("fcn-resnet50", {})])
def test_no_sides_and_no_tile_change_a_label(tmp_path, name, options):
    """24 of some 1400 draws that were made once, of which none changed a label."""
    path, draws = network(name, tmp_path, **options), random.Random(name)
    reach = receptive_field_of(str(path), None)
    smallest = smallest_tile(reach)
    cut = 0
    for _ in range(24):
        tile = smallest + draws.choice([0, draws.randrange(1, 200)])
        height, width = draws.choice([1, 2, 31, 32, 33, draws.randrange(1, 400)]), draws.randrange(1, 1200)
        if reach.divisor > 1:  # other sides have the labels of the extended image, which another test holds
            height, width = (max(side // 8 * 8, 8) if side > tile else side for side in (height, width))
        sides = draws.choice([(height, width), (width, height)])
        plan = check(path, sides, tile, varied=min(sides) > 150)
        assert plan.exact
        cut += plan.windows > 1
    assert cut > 4
