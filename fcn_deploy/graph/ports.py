"""Find the inputs and outputs of an ONNX file, and do the host's part of the uint8 contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fcn_deploy.card import ModelCard
from fcn_deploy.errors import GraphError
from fcn_deploy.graph.confidence import confidence_of, probabilities_of
from fcn_deploy.vocabulary import CONFIDENCE, LABELS, LOGITS, OUTPUTS, PROBABILITIES, InputKind

if TYPE_CHECKING:
    import onnx_ir as ir

FLOATS = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
CHANNEL_COUNTS = (1, 3, 4)
INTEGERS = ("tensor(uint8)", "tensor(int32)", "tensor(int64)")
FIX = "`fcn-deploy adopt` writes such a file"
_NUMPY_NAMES = {"float": "float32", "double": "float64"}
_ONNXRUNTIME_NAMES = {numpy: name for name, numpy in _NUMPY_NAMES.items()}


class NodeArg(Protocol):
    """An input or output as onnxruntime describes it: `type` "tensor(uint8)", `shape` of integers and names."""

    @property
    def name(self) -> str: ...

    @property
    def type(self) -> str: ...

    @property
    def shape(self) -> Sequence[int | str | None]: ...


@dataclass(frozen=True)
class Port:
    """One input or output: its name, NumPy's name of its type, and its dims; -1, a name or None for one that varies."""

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]

    @property
    def type(self) -> str:
        """As onnxruntime writes it, "tensor(uint8)"."""
        return f"tensor({_ONNXRUNTIME_NAMES.get(self.dtype, self.dtype)})"

    def __str__(self) -> str:
        dims = ", ".join("?" if dim in (-1, None) else str(dim) for dim in self.shape)
        return f"{self.name} {self.dtype}[{dims}]"


@dataclass(frozen=True)
class GraphIO:
    """The ports of a segmentation graph.

    Attributes:
        image: the input's name.
        image_type: np.uint8 for [N, H, W, 3] RGB; a float type for normalised [N, 3, H, W].
        labels, logits, confidence: the outputs' names, None where the graph lacks one.
        card: the model card, None for a file without one.
    """

    image: str
    image_type: type[np.generic]
    labels: str | None
    logits: str | None
    card: ModelCard | None
    confidence: str | None = None

    def fetches(self, outputs: Sequence[str]) -> list[str]:
        """Return the graph's outputs from which `outputs`, of `RUNNER_OUTPUTS`, are made.

        Raises:
            GraphError: the graph has not what is asked for, nor logits to make it of.
        """
        own = {LABELS: self.labels, CONFIDENCE: self.confidence}
        needed = [own.get(name) or self.logits for name in outputs]
        if None in needed:
            missing = {name for name, port in zip(outputs, needed, strict=True) if port is None}
            wanted = "labels,confidence" if missing == {CONFIDENCE} else LOGITS  # of logits the host makes the others
            given = " and ".join(name for name, port in own.items() if port is not None)
            raise GraphError(f"the file gives {given} alone; export it again with --outputs {wanted}")
        return list(dict.fromkeys(name for name in needed if name is not None))

    def host_work(self, outputs: Sequence[str]) -> tuple[str, ...]:
        """Return what `prepare` and `finish` do beyond copying, in words; it is timed with upload and download."""
        work: tuple[str, ...] = ()
        if self.image_type is not np.uint8:
            work += ("normalises the image on the host (in upload)",)
        if LABELS in outputs and self.labels is None:
            work += ("takes the arg max of the logits on the host (in download)",)
        if CONFIDENCE in outputs and self.confidence is None:
            work += ("makes the confidence of the logits on the host (in download)",)
        if PROBABILITIES in outputs:
            work += ("makes probabilities of the logits on the host (in download)",)
        return work

    def prepare(self, image: NDArray[np.uint8]) -> NDArray[Any]:
        """Turn uint8[N, H, W, 3] into what the graph takes, with the contract's arithmetic in float32."""
        if self.image_type is np.uint8:
            return image
        assert self.card is not None
        x = image[..., ::-1] if self.card.channel_order == "BGR" else image
        normalised = (x - np.array(self.card.mean, np.float32)) / np.array(self.card.std, np.float32)
        return np.ascontiguousarray(normalised.transpose(0, 3, 1, 2), self.image_type)

    def finish(self, fetched: dict[str, NDArray[Any]], outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Turn the graph's outputs into what `outputs` names, in the types that `Runner.download` returns."""
        return {name: self._finished(name, fetched) for name in outputs}

    def _finished(self, name: str, fetched: dict[str, NDArray[Any]]) -> NDArray[Any]:
        if name == LABELS and self.labels is not None:
            return self._narrow(fetched[self.labels])
        if name == CONFIDENCE and self.confidence is not None:
            return fetched[self.confidence]
        logits = fetched[self.logits or ""]
        if name == LABELS:
            labels: NDArray[Any] = logits.argmax(1).astype(label_type(logits.shape[1]))
            return labels
        if name == CONFIDENCE:
            return confidence_of(logits)
        wide: NDArray[np.float32] = logits.astype(np.float32, copy=False)
        return probabilities_of(wide) if name == PROBABILITIES else wide

    def _narrow(self, labels: NDArray[Any]) -> NDArray[Any]:
        if self.card is not None:
            return labels.astype(label_type(self.card.num_classes), copy=False)
        return labels if labels.dtype == np.uint8 else labels.astype(np.int32, copy=False)


def own_ports(model: ir.Model) -> tuple[tuple[str, ...], InputKind]:
    """Return the outputs of a file that `export` wrote, of `OUTPUTS`, and the kind of its input."""
    import onnx_ir as ir

    names = {value.name for value in model.graph.outputs}
    kind: InputKind = "uint8" if model.graph.inputs[0].dtype == ir.DataType.UINT8 else "float"
    return tuple(name for name in OUTPUTS if name in names), kind


def describe_io(path: str, inputs: Sequence[NodeArg], outputs: Sequence[NodeArg], card: ModelCard | None) -> GraphIO:
    """Recognise the ports of a graph.

    Raises:
        GraphError: they are not those of a segmentation network, or a float input has no model card that says
            how images are normalised; the message says what was found and what is needed.
    """
    image, image_type = _image_port(path, inputs, card)
    confidence = next((port.name for port in outputs if port.name == CONFIDENCE and port.type == INTEGERS[0]), None)
    labels = _named([port for port in outputs if port.name != confidence], LABELS, INTEGERS, rank=3)
    logits = _named(outputs, LOGITS, tuple(FLOATS), rank=4)
    if labels is None and logits is None:
        raise GraphError(
            f"{path}: its outputs are {_listed(outputs)}; expected labels, integers [N, H, W], "
            f"or logits, floats [N, C, H, W]; {FIX}"
        )
    if labels is None and next(port.shape for port in outputs if port.name == logits)[1:2] in ([1], (1,)):
        raise GraphError(f"{path}: its logits have one channel, whose arg max is always 0; {FIX}, of two classes")
    return GraphIO(image, image_type, labels, logits, card, confidence)


def contract_line(inputs: Sequence[NodeArg], outputs: Sequence[NodeArg], card: ModelCard | None) -> str:
    """Return whether a runner can keep "uint8 image in, labels out" with these ports, and what the host does for it."""
    try:
        io = describe_io("", inputs, outputs, card)
    except GraphError as error:
        return f"no: {str(error).removeprefix(': ')}"
    work = io.host_work((LABELS,))
    return "uint8 RGB image in, labels out" + (f"; a runner {' and '.join(work)}" if work else "")


def graph_io_of(model: ir.Model, path: str, card: ModelCard | None) -> GraphIO:
    """Return the ports of a loaded graph. Errors as for `describe_io`."""
    return describe_io(path, [port_of(v) for v in model.graph.inputs], [port_of(v) for v in model.graph.outputs], card)


def port_of(value: ir.Value) -> Port:
    """Return an input or output of a loaded graph; its shape is () where the rank is unknown."""
    return Port(str(value.name), type_name(value.dtype), dims_of(value) or ())


def type_name(dtype: ir.DataType | None) -> str:
    """Return NumPy's name of a type, "unknown" of None."""
    name = "unknown" if dtype is None else dtype.name.lower()
    return _NUMPY_NAMES.get(name, name)


def axes_of(dims: Sequence[int | str | None]) -> tuple[int, int, int] | None:
    """Return positions of N, H and W in an image of these dims; None if they are not four.

    Channels are last where the last dim is a fixed 1, 3 or 4 and the second is not, else second.
    """
    if len(dims) != 4:
        return None
    return (0, 1, 2) if dims[3] in CHANNEL_COUNTS and dims[1] not in CHANNEL_COUNTS else (0, 2, 3)


def dims_of(value: ir.Value) -> tuple[int | str | None, ...] | None:
    """Return each dim as a number, a name or None; None where the rank is unknown.

    Some exporters write -1 for a dim that varies; it is None here.
    """
    if value.shape is None:
        return None
    return tuple((dim if dim >= 0 else None) if isinstance(dim, int) else dim.value for dim in value.shape)


def _image_port(path: str, inputs: Sequence[NodeArg], card: ModelCard | None) -> tuple[str, type[np.generic]]:
    port = inputs[0] if len(inputs) == 1 and len(inputs[0].shape or ()) == 4 else None
    if port is not None and port.type == "tensor(uint8)" and port.shape[3] == 3:
        return port.name, np.uint8
    if port is None or port.type not in FLOATS or port.shape[1] != 3:
        raise GraphError(
            f"{path}: its input is {_listed(inputs)}; expected one image, uint8[N, H, W, 3] or float[N, 3, H, W]; "
            + FIX
        )
    if card is None:
        raise GraphError(
            f"{path}: its input is {_listed(inputs)} and it holds no model card, so the mean, the standard deviation "
            f"and the channel order are unknown; {FIX}"
        )
    return port.name, FLOATS[port.type]


def _named(ports: Sequence[NodeArg], name: str, types: tuple[str, ...], rank: int) -> str | None:
    """Return the port called `name`, else the first, of one of `types` and of `rank` dimensions."""
    fitting = [port.name for port in ports if port.type in types and len(port.shape or ()) in (0, rank)]
    return name if name in fitting else next(iter(fitting), None)


def _listed(ports: Sequence[NodeArg]) -> str:
    shapes = [", ".join(str(dim) for dim in port.shape or ("unknown",)) for port in ports]
    return " and ".join(f"'{p.name}' {p.type}[{shape}]" for p, shape in zip(ports, shapes, strict=True)) or "none"


def label_type(num_classes: int) -> type[np.uint8] | type[np.int32]:
    """Return the contract's type of labels: uint8 up to 255 classes, int32 above."""
    return np.uint8 if num_classes <= 255 else np.int32
