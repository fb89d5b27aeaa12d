"""Model cards that are damaged, of other types, or that do not fit the graph."""

from __future__ import annotations

import json
from typing import Any

import onnx
from onnx import helper

from fcn_deploy.card import CARD_KEY
from tests.hostile.commands import ON_ONNX, SLOW
from tests.hostile.kind import Make, files_kind
from tests.hostile.onnx_network import changed
from tests.support.onnx_files import CARD


def _card(text: str) -> Make:
    def change(model: onnx.ModelProto) -> None:
        helper.set_model_props(model, {CARD_KEY: text})

    return changed(change)


def _card_with(**fields: Any) -> Make:
    return _card(json.dumps({**json.loads(CARD.to_json()), **fields}))


CARDS: dict[str, Make] = {
    "not-json": _card("{"),
    "empty": _card(""),
    "nothing": _card("null"),
    "number": _card("1"),
    "list": _card("[]"),
    "no-fields": _card("{}"),
    "deep": _card("[" * 100_000),
    "long-number": _card('{"model": ' + "9" * 5000 + "}"),
    "lone-surrogate": _card(CARD.to_json().replace('"red"', '"\\ud800"')),
    "model-list": _card_with(model=["fcn8s"]),
    "model-empty": _card_with(model=""),
    "model-number": _card_with(model=8),
    "classes-number": _card_with(classes=3),
    "classes-text": _card_with(classes="red"),
    "classes-none": _card_with(classes=[]),
    "classes-numbers": _card_with(classes=[1, 2, 3]),
    "classes-lists": _card_with(classes=[["red"], ["green"], ["blue"]]),
    "classes-twice": _card_with(classes=["red", "red", "blue"]),
    "classes-line-break": _card_with(classes=["red", "gre\nen", "blue"]),
    "classes-carriage-return": _card_with(classes=["red", "gre\ren", "blue"]),
    "classes-separator": _card_with(classes=["red", "gre\u2028en", "blue"]),
    "classes-million": _card_with(classes=[str(index) for index in range(10**6)], palette=[]),
    "class-long": _card_with(classes=["red", "g" * 10**6, "blue"]),
    "options-list": _card_with(options=[]),
    "options-nested": _card_with(options={"width": {"a": 1}}),
    "palette-number": _card_with(palette=7),
    "palette-short": _card_with(palette=[[0, 0, 0]]),
    "palette-beyond": _card_with(palette=[[0, 0, 256]] * 3),
    "palette-floats": _card_with(palette=[[0.5, 0, 0]] * 3),
    "mean-text": _card_with(mean="ImageNet"),
    "mean-two": _card_with(mean=[1, 2]),
    "mean-nan": _card_with(mean=[float("nan")] * 3),
    "std-zero": _card_with(std=[0, 1, 1]),
    "std-infinite": _card_with(std=[float("inf")] * 3),
    "order": _card_with(channel_order="GRB"),
    "order-list": _card_with(channel_order=["RGB"]),
    "order-object": _card_with(channel_order={}),
    "notes-list": _card_with(notes=[1]),
    "notes-numbers": _card_with(notes={"a": 1}),
    "divisor-zero": _card_with(divisor=0),
    "divisor-text": _card_with(divisor="8"),
    "network-size": _card_with(network_size="huge"),
    "network-size-list": _card_with(network_size=[1]),
    "classes-more": _card_with(classes=["a", "b", "c", "d", "e"], palette=[[0, 0, 0]] * 5),
    "classes-fewer": _card_with(classes=["a", "b"], palette=[[0, 0, 0]] * 2),
}

# They load no graph, and no label is beyond the card.
TAKEN = {"classes-more": ("predict", "predict-openvino")}
KINDS = [files_kind("cards", CARDS, ON_ONNX, default=len(CARDS), takes=lambda case: TAKEN.get(case, ()), slow=SLOW)]
