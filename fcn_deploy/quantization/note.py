"""Note in a rewritten file what was done to it."""

from __future__ import annotations

from dataclasses import replace

import onnx_ir as ir

from fcn_deploy.card import CARD_KEY, REWRITTEN_FROM, REWRITTEN_FROM_SHA256, ModelCard
from fcn_deploy.graph.load import PRECISION_KEY
from fcn_deploy.quantization.options import QuantizeOptions
from fcn_deploy.system.files import sha256


def note_precision(model: ir.Model, card: ModelCard | None, options: QuantizeOptions) -> None:
    """Write metadata for programs, and a note in the model card for people."""
    model.metadata_props[PRECISION_KEY] = options.precision
    if card is not None:
        words: str = options.precision
        if options.codes is not None and options.calibration is not None:
            words += f", target {options.target}, {options.own_method}, calibrated with {options.calibration.source}"
        original = options.original or options.source
        origin = {REWRITTEN_FROM: original.name, REWRITTEN_FROM_SHA256: sha256(original)}
        model.metadata_props[CARD_KEY] = replace(card, notes={**card.notes, "precision": words, **origin}).to_json()
