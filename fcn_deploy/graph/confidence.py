"""Say of each pixel how sure its label is, in one byte.

The confidence of a pixel is the probability of its label by the softmax of the logits z, as the byte nearest to 255
times it: round(255 max_c softmax(z)_c) = round(255 / sum_c exp(z_c - max z)). It lies between 255 / C and 255.
`contract_io.graft_confidence` adds it to a graph, `contract.Contract` computes it in PyTorch, and this on the host.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.card import ModelCard
from fcn_deploy.vocabulary import CONFIDENCE

FULL = 255  # the byte of a probability of 1
# What a model card says of a file with confidence.
NOTE, FORMULA = "confidence", "round(255 * p), p the label's probability by the softmax of the logits"


def with_formula(card: ModelCard, outputs: Sequence[str]) -> ModelCard:
    """Return the card with the formula as a note if the file gives confidence, without it if not."""
    notes = {name: text for name, text in card.notes.items() if name != NOTE}
    return replace(card, notes=notes | {NOTE: FORMULA} if CONFIDENCE in outputs else notes)


def probabilities_of(logits: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the softmax over the classes of [N, C, H, W] logits, float32."""
    powers = _powers(logits)
    powers /= powers.sum(1, keepdims=True)
    return powers


def confidence_of(logits: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return the confidence uint8[N, H, W] of [N, C, H, W] logits."""
    confidence: NDArray[np.uint8] = np.rint(np.float32(FULL) / _powers(logits).sum(1)).astype(np.uint8)
    return confidence


def _powers(logits: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return exp(z - max z) in float32; the largest is 1, so none overflows."""
    wide = logits.astype(np.float32, copy=False)
    powers: NDArray[np.float32] = np.exp(wide - wide.max(1, keepdims=True))
    return powers
