"""Hostile and odd ONNX files: each case writes one into a folder, and says what is wrong with it."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fcn_deploy.card import CARD_KEY
from tests.support.onnx_files import CARD, write_graph

# Commands that describe a file and may succeed where those that run it refuse it.
DESCRIBING = ("inspect", "audit", "package")
Make = Callable[[Path], Path]
SMALL = replace(CARD, options={"width": 0.02})  # PyTorch builds the card's network before it sees that weights differ


def network(path: Path) -> onnx.ModelProto:
    """Write a network of one convolution, uint8 images in and labels out, with a card; return its message."""
    model = onnx.load(write_graph(path, card=SMALL))
    weights = np.random.default_rng(0).standard_normal((3, 3, 3, 3)).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(weights, "weight"))
    nodes = list(model.graph.node)
    at = next(index for index, node in enumerate(nodes) if node.op_type == "Mul")
    nodes[at].input[0] = "convolved"
    model.graph.node.insert(
        at, helper.make_node("Conv", ["normalised", "weight"], ["convolved"], name="conv", pads=[1] * 4)
    )
    onnx.save(model, path)
    return model


def changed(change: Callable[[onnx.ModelProto], None]) -> Make:
    """Return a case: the network, changed."""

    def make(folder: Path) -> Path:
        path = folder / "m.onnx"
        model = network(path)
        change(model)
        path.write_bytes(model.SerializeToString())
        return path

    return make


def initializer(model: onnx.ModelProto, name: str = "weight") -> TensorProto:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def node(model: onnx.ModelProto, op_type: str) -> onnx.NodeProto:
    return next(each for each in model.graph.node if each.op_type == op_type)


# --- external data -------------------------------------------------------------------------------------------------


def external(
    location: str, *, write: Callable[[Path], None] | None = None, offset: str = "0", length: str | None = "324"
) -> Make:
    """Return a case: the network with its weight at `location`; `write` makes what is there, from the folder."""

    def make(folder: Path) -> Path:
        path = folder / "m.onnx"
        model = network(path)
        tensor = initializer(model)
        data = tensor.raw_data
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        entries = {"location": location, "offset": offset, "length": length}
        for key, value in entries.items():
            if value is not None:
                tensor.external_data.add(key=key, value=value)
        path.write_bytes(model.SerializeToString())
        (folder.parent / "outside.bin").write_bytes(data)
        if write is None:
            (folder / "weights.bin").write_bytes(data)
        else:
            write(folder)
        return path

    return make


def _short(folder: Path) -> None:
    (folder / "weights.bin").write_bytes(bytes(100))


def _link(target: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "weights.bin").symlink_to(target)


def hub_cache(folder: Path) -> Path:
    """Write the network as the Hugging Face cache lays files out: a snapshot of links into blobs/."""
    made = external("weights.bin")(folder)
    blobs, snapshot = folder / "blobs", folder / "snapshots" / "0123abcd"
    for new in (blobs, snapshot):
        new.mkdir(parents=True)
    for index, path in enumerate((made, folder / "weights.bin")):
        path.rename(blobs / f"{index:064x}")
        (snapshot / path.name).symlink_to(Path("..", "..", "blobs", f"{index:064x}"))
    return snapshot / "m.onnx"


EXTERNAL: dict[str, Make] = {
    "absolute": external("/etc/passwd", length=None),
    "absolute-device": external("/dev/zero"),
    "parent": external("../outside.bin"),
    "parent-inside": external("sub/../../outside.bin", write=lambda folder: (folder / "sub").mkdir()),
    "backslashes": external("..\\outside.bin"),
    "empty-location": external(""),
    "nul": external("weights\0.bin"),
    "missing": external("weights.bin", write=lambda folder: None),
    "short": external("weights.bin", write=_short),
    "empty-file": external("weights.bin", write=lambda folder: (folder / "weights.bin").touch()),
    "folder": external("weights.bin", write=lambda folder: (folder / "weights.bin").mkdir()),
    "fifo": external("weights.bin", write=lambda folder: os.mkfifo(folder / "weights.bin")),
    "device": external("weights.bin", write=_link("/dev/zero")),
    "terminal": external("weights.bin", write=_link("/dev/tty")),
    "dangling": external("weights.bin", write=_link("nowhere")),
    "loop": external("weights.bin", write=_link("weights.bin")),
    "negative-offset": external("weights.bin", offset="-4"),
    "offset-beyond": external("weights.bin", offset="4"),
    "offset-huge": external("weights.bin", offset=str(2**63)),
    "offset-text": external("weights.bin", offset="four"),
    "length-short": external("weights.bin", length="8"),
    "length-long": external("weights.bin", length="99999999"),
    "length-huge": external("weights.bin", length=str(2**64)),
    "length-text": external("weights.bin", length="1e3"),
    "length-negative": external("weights.bin", length="-1"),
    "memory-address": external("*/_ORT_MEM_ADDR_/*", offset="140000000000000"),
}

# --- shapes, types, operators ---------------------------------------------------------------------------------------


def _dims(*dims: int) -> Make:
    def change(model: onnx.ModelProto) -> None:
        tensor = initializer(model)
        del tensor.dims[:]
        tensor.dims.extend(dims)

    return changed(change)


def _typed(**fields: Any) -> Make:
    def change(model: onnx.ModelProto) -> None:
        tensor = initializer(model)
        tensor.ClearField("raw_data")
        for name, value in fields.items():
            if isinstance(value, list):
                getattr(tensor, name).extend(value)
            else:
                setattr(tensor, name, value)

    return changed(change)


def _cycle(model: onnx.ModelProto) -> None:
    node(model, "Sub").input[1] = "convolved"


def _self_loop(model: onnx.ModelProto) -> None:
    node(model, "Conv").input[0] = "convolved"


def _weight(model: onnx.ModelProto, number: float) -> None:
    tensor = initializer(model)
    numbers = numpy_helper.to_array(tensor).copy()
    numbers[1, 0, 2, 1] = number
    tensor.raw_data = numbers.tobytes()


def _no_outputs(model: onnx.ModelProto) -> None:
    del model.graph.output[:]


def _no_inputs(model: onnx.ModelProto) -> None:
    del model.graph.input[:]


def _no_nodes(model: onnx.ModelProto) -> None:
    del model.graph.node[:]


def _output_of_nothing(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = "elsewhere"


def _reads_nothing(model: onnx.ModelProto) -> None:
    node(model, "Conv").input[0] = "elsewhere"


def _two_makers(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Identity", ["normalised"], ["convolved"]))


def _two_weights(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(initializer(model))


def _domain(model: onnx.ModelProto) -> None:
    conv = node(model, "Conv")
    conv.domain, conv.op_type = "com.example", "Magic"
    model.opset_import.append(helper.make_opsetid("com.example", 1))


def _unknown_operator(model: onnx.ModelProto) -> None:
    node(model, "Conv").op_type = "Convolute"


def _no_inputs_of_conv(model: onnx.ModelProto) -> None:
    del node(model, "Conv").input[:]


def _no_outputs_of_conv(model: onnx.ModelProto) -> None:
    del node(model, "Conv").output[:]


def _wrong_attribute(model: onnx.ModelProto) -> None:
    conv = node(model, "Conv")
    del conv.attribute[:]
    conv.attribute.append(helper.make_attribute("pads", "one"))


def _negative_pads(model: onnx.ModelProto) -> None:
    conv = node(model, "Conv")
    del conv.attribute[:]
    conv.attribute.append(helper.make_attribute("pads", [2**62] * 4))


def _zero_strides(model: onnx.ModelProto) -> None:
    node(model, "Conv").attribute.append(helper.make_attribute("strides", [0, 0]))


def _set(path: str, value: Any) -> Make:
    def change(model: onnx.ModelProto) -> None:
        setattr(model, path, value)

    return changed(change)


def _opset(version: int) -> Make:
    def change(model: onnx.ModelProto) -> None:
        model.opset_import[0].version = version

    return changed(change)


def _no_opset(model: onnx.ModelProto) -> None:
    del model.opset_import[:]


def _two_opsets(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("", 11))


def _image_dims(*dims: int | str) -> Make:
    def change(model: onnx.ModelProto) -> None:
        model.graph.input[0].CopyFrom(helper.make_tensor_value_info("image", TensorProto.UINT8, dims))

    return changed(change)


def _image_type(kind: int) -> Make:
    def change(model: onnx.ModelProto) -> None:
        model.graph.input[0].type.tensor_type.elem_type = kind

    return changed(change)


def _no_rank(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.ClearField("shape")


def _no_type(model: onnx.ModelProto) -> None:
    model.graph.input[0].ClearField("type")


def chain(length: int) -> Make:
    """Return a case: `length` nodes one behind the other."""

    def change(model: onnx.ModelProto) -> None:
        at = next(index for index, each in enumerate(model.graph.node) if each.op_type == "Mul")
        names = ["convolved", *(f"link{index}" for index in range(length))]
        made = [helper.make_node("Neg", [a], [b], name=b) for a, b in itertools.pairwise(names)]
        rest = list(model.graph.node[at:])
        del model.graph.node[at:]
        rest[0].input[0] = names[-1]
        model.graph.node.extend([*made, *rest])

    @cache
    def data(path: Path) -> bytes:
        return changed(change)(path).read_bytes()

    def make(folder: Path) -> Path:
        (folder / "m.onnx").write_bytes(data(folder))
        return folder / "m.onnx"

    return make


def _deep(model: onnx.ModelProto, depth: int = 200) -> None:
    """Nest a graph in a graph in a graph, as branches of If."""
    inner = helper.make_graph(
        [helper.make_node("Identity", ["normalised"], ["deep0"])],
        "g",
        [],
        [helper.make_tensor_value_info("deep0", TensorProto.FLOAT, None)],
    )
    for level in range(1, depth):
        made = helper.make_node("If", ["yes"], [f"deep{level}"], then_branch=inner, else_branch=inner)
        name = f"deep{level}"
        inner = helper.make_graph([made], "g", [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)])
        if level > 12:  # both branches double the size
            made = helper.make_node("Identity", ["normalised"], [name])
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    model.graph.node.insert(5, helper.make_node("If", ["yes"], ["unused"], then_branch=inner, else_branch=inner))


def _raw(data: bytes) -> Make:
    def make(folder: Path) -> Path:
        (folder / "m.onnx").write_bytes(data)
        return folder / "m.onnx"

    return make


def _cut(share: float) -> Make:
    def make(folder: Path) -> Path:
        path = changed(lambda model: None)(folder)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])
        return path

    return make


GRAPHS: dict[str, Make] = {
    "empty": _raw(b""),
    "text": _raw(b"this is not a model\n" * 40),
    "zeros": _raw(bytes(1000)),
    "ones": _raw(b"\xff" * 1000),
    "cut-half": _cut(0.5),
    "cut-end": _cut(0.97),
    "dims-huge": _dims(2**40, 2**40, 3, 3),
    "dims-overflow": _dims(2**62, 4, 3, 3),
    "dims-negative": _dims(-3, 3, 3, 3),
    "dims-minus-two": _dims(-3, -3, 3, 3),
    "dims-more": _dims(4, 3, 3, 3),
    "dims-fewer": _dims(2, 3, 3, 3),
    "dims-zero": _dims(0, 3, 3, 3),
    "dims-none": _dims(),
    "dims-many": _dims(*[1] * 100, 3, 3, 3, 3),
    "data-none": _typed(),
    "data-floats-few": _typed(float_data=[1.0] * 80),
    "data-ints": _typed(int32_data=[1] * 81),
    "data-type-unknown": _typed(data_type=99),
    "data-type-none": _typed(data_type=0),
    "data-type-string": _typed(data_type=TensorProto.STRING, string_data=[b"x"] * 81),
    "cycle": changed(_cycle),
    "self-loop": changed(_self_loop),
    "no-outputs": changed(_no_outputs),
    "no-inputs": changed(_no_inputs),
    "no-nodes": changed(_no_nodes),
    "output-of-nothing": changed(_output_of_nothing),
    "reads-nothing": changed(_reads_nothing),
    "two-makers": changed(_two_makers),
    "two-weights": changed(_two_weights),
    "no-operands": changed(_no_inputs_of_conv),
    "no-results": changed(_no_outputs_of_conv),
    "wrong-attribute": changed(_wrong_attribute),
    "zero-strides": changed(_zero_strides),
    "huge-pads": changed(_negative_pads),
    "unknown-operator": changed(_unknown_operator),
    "ir-version-future": _set("ir_version", 30),
    "ir-version-far": _set("ir_version", 2**40),
    "ir-version-negative": _set("ir_version", -1),
    "opset-future": _opset(999),
    "opset-zero": _opset(0),
    "opset-negative": _opset(-5),
    "opset-huge": _opset(2**62),
    "no-opset": changed(_no_opset),
    "image-huge": _image_dims(1, 2**31, 2**31, 3),
    "image-zero": _image_dims(1, 0, 47, 3),
    "image-string": _image_type(TensorProto.STRING),
    "image-complex": _image_type(TensorProto.COMPLEX64),
    "image-type-unknown": _image_type(77),
    "no-rank": changed(_no_rank),
    "no-type": changed(_no_type),
    "chain": chain(100_000),
    "weight-infinite": changed(lambda model: _weight(model, np.inf)),
    "weight-nan": changed(lambda model: _weight(model, np.nan)),
}
# Files that some commands rightly take.
ODD: dict[str, Make] = {
    "custom-operator": changed(_domain),
    "two-opsets": changed(_two_opsets),
    "image-minus-one": _image_dims(-1, -1, -1, 3),
    "image-minus-seven": _image_dims(1, -7, -7, 3),
    "short-chain": chain(2_000),
    "deep": changed(lambda model: _deep(model, 10)),
}

# --- cards ----------------------------------------------------------------------------------------------------------


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

# Commands that take a case, because it is none of their business: (kind, case) -> commands.
RUNNING = (
    "inspect",
    "audit",
    "predict",
    "predict-openvino",
    "evaluate",
    "bench",
    "diagnose",
    "diagnose-first",
    "choose",
)
TAKEN: dict[tuple[str, str], tuple[str, ...]] = {
    # Exit code 3 of `choose`: no candidate runs.
    ("graphs", "unknown-operator"): ("inspect", "choose"),
    ("graphs", "ir-version-future"): ("predict-openvino",),
    ("graphs", "opset-future"): ("predict-openvino",),
    ("graphs", "huge-pads"): ("bench",),  # a row of its table fails
    # Whoever runs a file shows its labels; what makes a file of it refuses weights that are no numbers.
    ("graphs", "weight-infinite"): RUNNING,
    ("graphs", "weight-nan"): RUNNING,
    ("graphs", "no-rank"): ("inspect", "choose"),
    ("cards", "classes-more"): ("predict", "predict-openvino"),  # they load no graph, and no label is beyond the card
    ("graphs", "no-type"): ("inspect", "choose"),
}


def takes(kind: str, case: str) -> tuple[str, ...]:
    """Return the commands that may take a case."""
    return TAKEN.get((kind, case), ())
