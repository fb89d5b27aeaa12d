"""Read the tensors inside a PyTorch network or an ONNX graph, by the names that the export gives them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fcn_deploy.card import ModelCard
from fcn_deploy.contract import Contract
from fcn_deploy.diagnosis.compared_layers import comparable_tensors
from fcn_deploy.diagnosis.constants import Normalisation, Parameters, normalisation, normalised_image, parameters
from fcn_deploy.diagnosis.stages import Stage
from fcn_deploy.graph.load import load_graph
from fcn_deploy.graph.nodes import CONTRACT_PREFIX
from fcn_deploy.graph.ports import graph_io_of
from fcn_deploy.graph.resizing import TO_NETWORK_SIZE
from fcn_deploy.graph.simplify import name_nodes, simplify
from fcn_deploy.graph.subgraph import Subgraph, extract_subgraph
from fcn_deploy.quantization.rewrites.fold import fold_batch_norms
from fcn_deploy.vocabulary import LABELS, LOGITS

Tensors = dict[str, NDArray[Any]]
Reader = Callable[[NDArray[np.uint8]], Tensors]
# The normalised image that the first layer reads, whatever a network calls it.
ENTRY = "normalised image"


def tensor_source(stage: Stage) -> OnnxSource | TorchSource | None:
    """Return the tensors of a stage; None for an engine, which shows none."""
    if stage.network is not None and stage.card is not None:
        return TorchSource(stage.network, stage.card)
    return OnnxSource(Path(stage.source), stage.card) if stage.kind == "onnx" else None


class OnnxSource:
    """A graph in ONNX Runtime that hands out inner tensors.

    Attributes:
        model: the graph; io: its ports; entry: its name for the normalised image.
        names: the tensors that it can give; ENTRY is among them.
        normalisation: what it does to the image; None where that is not known.
    """

    def __init__(self, path: Path, card: ModelCard | None) -> None:
        self.model = _load(path)
        self.io = graph_io_of(self.model, str(path), card)
        self.entry = normalised_image(self.model) if self.io.image_type is np.uint8 else self.io.image
        self.names = [*comparable_tensors(self.model, self.io.labels), ENTRY]
        own = normalisation(self.model)
        self.normalisation = Normalisation.of_card(card) if own is None and card is not None else own
        self._path = path
        self._layers: dict[bool, Mapping[str, ir.Node]] = {}

    def open(self, names: Sequence[str], folder: Path) -> Reader:
        """Return a function from uint8[N, H, W, 3] to those tensors; `folder` is for temporary files."""
        wanted = {name: self.entry if name == ENTRY else name for name in names}
        inner = list(dict.fromkeys(tensor for tensor in wanted.values() if tensor != self.io.image))
        part = Subgraph(extract_subgraph(self.model, [self.io.image], inner), folder) if inner else None

        def read(image: NDArray[np.uint8]) -> Tensors:
            given = {self.io.image: self.io.prepare(image)}
            made = given | ({} if part is None else part.run(given))
            return {name: made[tensor] for name, tensor in wanted.items()}

        return read

    def parameters(self, layer: str, *, folded: bool) -> Parameters | None:
        """Return weights of a layer, with the batch norm behind it if `folded`; None where they are not known."""
        if folded not in self._layers:
            model = _load(self._path)
            if folded:
                fold_batch_norms(model)
            self._layers[folded] = {node.name or "": node for node in model.graph}
        node = self._layers[folded].get(layer)
        return None if node is None else parameters(node)


def _load(path: Path) -> ir.Model:
    """Return a graph in the form in which it was rewritten, with a name for each node."""
    model = load_graph(path)
    simplify(model)
    name_nodes(model)
    return model


class TorchSource:
    """A PyTorch network whose modules hand out their results, as `OnnxSource` does.

    Known are modules without parts of their own: what a larger one gives need not be what its export calls so.
    """

    def __init__(self, network: nn.Module, card: ModelCard) -> None:
        self._contract, self.normalisation = Contract(network, card).eval(), Normalisation.of_card(card)
        self._modules = {name: module for name, module in network.named_modules() if not list(module.children())}
        self._norms = any(isinstance(module, nn.BatchNorm2d) for module in self._modules.values())
        self._contract_names = [f"{CONTRACT_PREFIX}{name}" for name in self._normalised(torch.zeros(1, 1, 1, 3))]
        self.names = [*self._modules, *self._contract_names, ENTRY, LOGITS, LABELS]

    def open(self, names: Sequence[str], folder: Path) -> Reader:
        hooked = {name: self._modules[name] for name in names if name in self._modules}

        def read(image: NDArray[np.uint8]) -> Tensors:
            x = torch.from_numpy(image)
            with torch.inference_mode(), _record_outputs(hooked) as found:
                steps = self._normalised(x)
                logits = self._contract.to_image_size(self._contract.model(steps["divide_std"]), x)
                found |= {f"{CONTRACT_PREFIX}{name}": value for name, value in steps.items()}
                found |= {ENTRY: steps["divide_std"], LOGITS: logits}
                found[LABELS] = logits.argmax(1).to(self._contract.label_dtype)
            return {name: found[name].numpy() for name in names if name in found}

        return read

    def parameters(self, layer: str, *, folded: bool) -> Parameters | None:
        weight = getattr(self._modules.get(layer), "weight", None)
        if weight is None or (folded and self._norms):
            return None
        bias = getattr(self._modules[layer], "bias", None)
        return Parameters(_array(weight), None if bias is None else _array(bias))

    def _normalised(self, image: Tensor) -> dict[str, Tensor]:
        """Return the steps of `Contract.prepare` under the names of their nodes."""
        contract = self._contract
        steps = {"to_nchw": image.permute(0, 3, 1, 2).to(torch.float32)}
        if contract.flip:
            steps["to_bgr"] = steps["to_nchw"].flip(1)
        x = steps.get("to_bgr", steps["to_nchw"])
        if contract.sizing is not None:
            x = steps[TO_NETWORK_SIZE] = contract.to_network_size(x)
        steps["subtract_mean"] = x - contract.mean
        steps["divide_std"] = (steps["subtract_mean"] / contract.std).contiguous()
        return steps


@contextmanager
def _record_outputs(modules: Mapping[str, nn.Module]) -> Iterator[dict[str, Tensor]]:
    """Yield a dict that fills with copies of the modules' results; a ReLU may change the originals in place."""
    found: dict[str, Tensor] = {}

    def hook(name: str) -> Callable[..., None]:
        def record(module: nn.Module, inputs: object, output: object) -> None:
            if isinstance(output, Tensor):
                found[name] = output.clone()

        return record

    handles = [module.register_forward_hook(hook(name)) for name, module in modules.items()]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _array(tensor: Tensor) -> NDArray[np.float64]:
    return tensor.detach().numpy().astype(np.float64)
