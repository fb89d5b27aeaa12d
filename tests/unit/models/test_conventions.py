"""The width and the options of a network, read from its keys and shapes."""

from __future__ import annotations

import torch

from fcn_deploy.models.conventions import width_of
from fcn_deploy.models.layers import scaled


def test_a_width_read_from_shapes_gives_every_layer_its_shape():
    for width in [step / 97 for step in range(1, 400)]:
        counts = {"a": 64, "b": 128, "c": 256, "d": 512}
        state = {key: torch.empty(scaled(base, width), device="meta") for key, base in counts.items()}
        found = width_of(state, counts)
        assert [scaled(base, found) for base in counts.values()] == [value.shape[0] for value in state.values()], width
