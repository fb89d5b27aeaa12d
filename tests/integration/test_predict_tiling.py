"""Tiles of every network give the whole image's labels, as exported, rewritten for 8 bits, and from the command line.

The bound: the logits of a tile are sums of the same products as the whole image's, perhaps in another order, so they
differ by FP32's rounding alone, and a label may differ only where its two best logits are within twice that.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from fcn_deploy.card import CARD_KEY, ModelCard
from fcn_deploy.cli.commands.predict import command
from fcn_deploy.data.images import load_label
from fcn_deploy.errors import GraphError
from fcn_deploy.graph.contract_io import graft_contract, keep_outputs
from fcn_deploy.graph.cpu.subpixel import upsample_by_phases
from fcn_deploy.graph.load import load_graph, read_card
from fcn_deploy.graph.session import open_cpu_session
from fcn_deploy.graph.weights import save_graph
from fcn_deploy.metrics.agreement import logit_margin
from fcn_deploy.onnx_export import trace as trace_module
from fcn_deploy.onnx_export.export import export_model
from fcn_deploy.tiling.plan import Plan, plan_tiles, smallest_tile
from fcn_deploy.tiling.receptive_field.compute import (
    WEIGHTS_BYTES,
    Halo,
    ReceptiveField,
    drop_weights,
    receptive_field_of,
)
from fcn_deploy.tiling.run import label_bands
from fcn_deploy.tiling.windows import ArrayWindows
from tests.conftest import tiny_model
from tests.support.peak_memory import peak_of

# FP32 sums of the same products in another order: a few parts in 10^7 of the largest logit; 1e-5 leaves room.
ROUNDING = 1e-5
OTHERS = ["fcn32s", "fcn16s", "fcn32s-caffe", "fcn16s-caffe", "fcn8s-atonce-caffe", "fcn-resnet101"]


def scene(height: int, width: int, seed: int = 0) -> np.ndarray:
    """uint8[H, W, 3]: smooth colours of some 20 pixels under noise, so that labels are many and change often."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (height // 20 + 2, width // 20 + 2, 3)).astype(np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), np.int16)
    return np.clip(smooth + generator.integers(-30, 31, smooth.shape), 0, 255).astype(np.uint8)


def balanced(model, card: ModelCard) -> None:
    """Centre the logits of a network of random weights on a scene, or one class would win everywhere."""
    import torch

    from fcn_deploy.contract import Contract

    with torch.no_grad():
        logits = Contract(model, card).logits(torch.from_numpy(scene(160, 224)[None]))
        score = next(module for name, module in model.named_modules() if name in ("score_fr", "classifier.4"))
        score.bias -= logits.mean((0, 2, 3))


def network(name: str, folder: Path, **options: object) -> Path:
    """The graph of a tiny network with labels and logits; no proof, which other tests have."""
    model, card = tiny_model(name, **options)
    balanced(model, card)
    graph = trace_module.trace(model)
    graft_contract(graph, card, "uint8")
    path = folder / "m.onnx"
    graph.metadata_props[CARD_KEY] = card.to_json()
    save_graph(graph, path)
    return path


@pytest.fixture(scope="module")
def fcn8s(tmp_path_factory) -> Path:
    return network("fcn8s", tmp_path_factory.mktemp("fcn8s"))


@pytest.fixture(scope="module")
def resnet(tmp_path_factory) -> Path:
    return network("fcn-resnet50", tmp_path_factory.mktemp("resnet"))


def test_the_receptive_field_of_a_file_keeps_none_of_its_weights(fcn8s):
    model = drop_weights(load_graph(fcn8s))
    tensors = [value.const_value for value in model.graph.initializers.values()]
    large = [tensor for tensor in tensors if tensor.nbytes > WEIGHTS_BYTES]
    assert large
    for tensor in large:
        with pytest.raises(GraphError, match="values of weights are not at hand"):
            tensor.numpy()
    assert {type(tensor).__name__ for tensor in tensors} == {"LazyTensor", "Tensor"}  # neither holds the file
    assert ReceptiveField(model).halos(31, 7) == receptive_field_of(str(fcn8s), None).halos(31, 7)


def check(path: Path, sides: tuple[int, int], tile: int, *, varied: bool = True) -> Plan:
    """Labels in tiles are the whole image's beyond what rounding can exchange; gives the plan.

    Args:
        varied: whether the labels must be of more than one class, or the comparison would show little.
    """
    image, session = scene(*sides), open_cpu_session(path, threads=1)
    labels, logits = session.run(["labels", "logits"], {"image": image[None]})
    plan = plan_tiles(receptive_field_of(str(path), None), *sides, tile)
    bands = label_bands(lambda x: session.run(["labels"], {"image": x})[0], ArrayWindows(image), plan)
    tiled = np.concatenate(list(bands))
    differs = tiled != labels[0]
    bound = 2 * ROUNDING * float(np.abs(logits).max())
    assert not differs.any() or float(logit_margin(logits)[0][differs].max()) <= bound
    assert differs.mean() < 0.001
    assert not varied or len(np.unique(labels)) > 1 or labels.size == 1
    return plan


def test_tiles_have_the_labels_of_the_whole_image(fcn8s):
    """220: 208 for seven 32s and the five stages before (the paper's 404 is both sides of fc6), 12 for upsampling."""
    reach = receptive_field_of(str(fcn8s), None)
    assert (reach.alignment, reach.divisor, reach.halos(0, 0)[0]) == (32, 1, Halo(220, 220))
    plan = check(fcn8s, (smallest_tile(reach) + 101, 333), smallest_tile(reach))
    assert plan.exact
    assert plan.windows > 1


@pytest.mark.long
def test_padding_of_100_and_crops_move_the_halo_and_change_no_label(tmp_path):
    path = network("fcn8s-caffe", tmp_path)
    reach = receptive_field_of(str(path), None)
    assert (reach.alignment, reach.divisor, reach.halos(0, 0)[0]) == (32, 1, Halo(217, 223))
    plan = check(path, (333, smallest_tile(reach) + 101), smallest_tile(reach))
    assert plan.exact
    assert plan.windows > 1


def test_phases_and_the_network_of_the_card_have_the_graphs_field(fcn8s):
    graph = load_graph(fcn8s)
    before = ReceptiveField(graph).halos(31, 7)
    assert receptive_field_of("fcn8s.engine", read_card(fcn8s)).halos(31, 7) == before
    keep_outputs(graph, ("labels",))
    assert upsample_by_phases(graph) == ["upscore8"]
    assert {"DepthToSpace", "Reshape"} <= {node.op_type for node in graph.graph}
    assert ReceptiveField(graph).halos(31, 7) == before


@pytest.mark.long
def test_the_bilinear_upsampling_of_a_resnet_is_exact_where_8_divides_the_sides(resnet):
    reach = receptive_field_of(str(resnet), None)
    assert (reach.alignment, reach.divisor, reach.tied_by) == (8, 8, "Resize node resize/Resize")
    plan = check(resnet, (640, 99), 488)  # 99 columns are not cut, so they stretch as they do in the whole image
    assert plan.exact
    assert plan.windows > 1


@pytest.mark.long
def test_a_resnets_other_sides_have_the_labels_of_the_extended_image(resnet):
    session, image = open_cpu_session(resnet, threads=1), scene(643, 96)
    plan = plan_tiles(receptive_field_of(str(resnet), None), 643, 96, 488)
    assert not plan.exact
    bands = label_bands(lambda x: session.run(["labels"], {"image": x})[0], ArrayWindows(image), plan)
    tiled = np.concatenate(list(bands))
    extended = np.pad(image, ((0, 5), (0, 0), (0, 0)), mode="edge")
    (labels,) = session.run(["labels"], {"image": extended[None]})
    (own,) = session.run(["labels"], {"image": image[None]})
    assert (tiled != labels[0, :643]).mean() < 0.001
    assert (tiled != own[0]).mean() > 0.001  # the whole image is stretched by 643 / 81 and not by 8


@pytest.mark.long
@pytest.mark.parametrize("name", OTHERS)
def test_tiles_of_the_other_networks(tmp_path, name):
    path = network(name, tmp_path)
    smallest = smallest_tile(receptive_field_of(str(path), None))
    for sides in ((smallest + 104, 344), (336, 1408)):
        assert check(path, sides, smallest + 40).exact


@pytest.mark.long
@pytest.mark.parametrize("tile", [256, 384, 512, 768, 1024])
@pytest.mark.parametrize("options", [{}, {"head": "pool5"}])
def test_tiles_from_256_to_1024(tmp_path, tile, options):
    """256 holds no exact label of the fc head (220 + 220 of halo) and none of pool5's on a ragged end (124 + 155)."""
    path = network("fcn8s", tmp_path, **options)
    reach = receptive_field_of(str(path), None)
    for sides in ((1, 1), (200, 255), (737, 1189), (1500, 601)):
        if tile < smallest_tile(reach) and max(sides) > tile:
            continue
        assert check(path, sides, tile).exact


def test_a_model_without_graph_or_card_is_named():
    with pytest.raises(GraphError, match=r"a\.engine holds no model card"):
        receptive_field_of("a.engine", None)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """FCN-8s with the pool5 head, exported as a user would."""
    path = tmp_path_factory.mktemp("models") / "m.onnx"
    network, card = tiny_model("fcn8s", head="pool5")
    balanced(network, card)
    export_model(network, card, path, shapes=((1, 33, 47),))
    return path


def predict(*arguments: object) -> str:
    result = CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_predict_in_tiles_writes_what_predict_writes(model, tmp_path, suffix):
    image = tmp_path / f"big{suffix}"
    Image.fromarray(scene(401, 617)).save(image)
    predict(model, image, "-o", tmp_path / "whole.png")
    shown = predict(
        model, image, "-o", tmp_path / "tiled.png", "--tile", 360, "--batch", 2, "--areas", tmp_path / "a.csv"
    )
    assert np.array_equal(load_label(tmp_path / "tiled.png"), load_label(tmp_path / "whole.png"))
    assert "401x617: " in shown
    assert "times the image's pixels; labels as of the whole image" in shown
    row = (tmp_path / "a.csv").read_text().splitlines()[1].split(",")
    assert [int(number) for number in row[1:]] == [
        401 * 617,
        *np.bincount(load_label(tmp_path / "whole.png").flat, minlength=5),
    ]


def test_a_smaller_halo_is_reported_with_what_it_changes(model, tmp_path):
    Image.fromarray(scene(401, 617)).save(tmp_path / "big.png")
    predict(model, tmp_path / "big.png", "-o", tmp_path / "whole.npy", "--format", "npy")
    arguments = ("--tile", 360, "--halo", 16, "--json", tmp_path / "r.json")
    predict(model, tmp_path / "big.png", "-o", tmp_path / "small.npy", "--format", "npy", *arguments)
    notes = json.loads((tmp_path / "r.json").read_text())["notes"]
    assert any("the halo is 16 pixels and exact labels need" in note for note in notes)
    assert any("labels differ from the whole image's (4 of" in note for note in notes)
    differing = (np.load(tmp_path / "small.npy") != np.load(tmp_path / "whole.npy")).mean()
    assert 0 < differing < 0.2


@pytest.mark.long
def test_an_image_of_12000_x_9000_fits_its_bound(model, tmp_path):
    """Decoded it takes 412 MiB at 4 bytes a pixel; of an uncompressed TIFF no more than the window is read."""
    block = scene(900, 1200)
    whole = np.tile(block, (10, 10, 1))
    Image.fromarray(whole).save(tmp_path / "big.png", compress_level=1)
    Image.fromarray(whole).save(tmp_path / "big.tif")
    del whole
    Image.fromarray(scene(1700, 1700)).save(tmp_path / "small.png")  # four windows nearly as large
    options = ("--tile", 1024, "--runner", "onnxruntime", "--threads", 1)
    base = peak_of("predict", model, tmp_path / "small.png", "-o", tmp_path / "small_labels.png", *options)
    decoded = peak_of("predict", model, tmp_path / "big.png", "-o", tmp_path / "png_labels.png", *options)
    mapped = peak_of("predict", model, tmp_path / "big.tif", "-o", tmp_path / "tif_labels.png", *options)
    assert decoded < base + (480 << 20)
    assert mapped < base + (64 << 20)
    with Image.open(tmp_path / "png_labels.png") as one, Image.open(tmp_path / "tif_labels.png") as other:
        assert one.size == other.size == (12000, 9000)
    assert (tmp_path / "png_labels.png").read_bytes() == (tmp_path / "tif_labels.png").read_bytes()
