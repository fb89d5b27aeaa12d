"""List what is tried: each installed runner with each precision that it takes, at each size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from fcn_deploy.benchmark.runner_specs import RunnerSpec, Takes, is_installed, parse_spec
from fcn_deploy.card import ModelCard
from fcn_deploy.choice.options import ChoiceOptions
from fcn_deploy.errors import RunnerError, UnknownNameError
from fcn_deploy.network_size import NetworkSize, network_size_text, size_words
from fcn_deploy.onnx_export.export import with_network_size
from fcn_deploy.runners.registry import REFERENCE, RUNNERS, entry, int8_target
from fcn_deploy.vocabulary import PRECISIONS, TARGETS, Size, Target

PLAIN = "fp32"


@dataclass(frozen=True)
class Candidate:
    """One way to run the model.

    Attributes:
        spec: the runner and the precision that the model is rewritten to; None takes it as it is.
        size: at which the network computes.
        divisor: of which its sides are multiples.
        resized: whether that is another size than the model's own.
    """

    spec: RunnerSpec
    size: NetworkSize = field(default_factory=NetworkSize)
    divisor: int = 1
    resized: bool = False

    @property
    def name(self) -> str:
        """Write "openvino:int8", "openvino:int8 at 0.5" or "openvino:int8 at 180x240"."""
        return f"{self.spec.text} at {size_words(self.size.text)}" if self.resized else self.spec.text

    @property
    def network_size(self) -> str | None:
        """The size that its file is made for, as a model card has it; None for the model as it is."""
        return self.size.text if self.resized else None

    def network_sides(self, image: Size) -> Size:
        """Return the (height, width) that the network gets for an image."""
        return self.size.of(image, self.divisor)

    @property
    def precision(self) -> str:
        return self.spec.precision or PLAIN


def default_runners() -> tuple[str, ...]:
    """Return the installed runners of .onnx files; PyTorch is the reference, and engines run on GPUs alone."""
    return tuple(name for name, line in RUNNERS.items() if line.opens == "onnx" and is_installed(name))


def list_candidates(
    source: str,
    runners: Sequence[str] | None,
    precisions: Sequence[str],
    targets: Sequence[str] | None = None,
) -> tuple[Candidate, ...]:
    """Return the candidates of the model's own size; what the file cannot be rewritten to is left out.

    Args:
        source: the model as the user named it.
        runners: as for `bench`; one that names a precision has that one alone. None is `default_runners`.
        targets: those of INT8 that are tried; None is each runner's own. An engine has no other than its own.

    Raises:
        UnknownNameError: no such runner, precision or target, or PyTorch, which is the reference.
    """
    for target in targets or ():
        if target not in TARGETS:
            raise UnknownNameError.of("target", target, TARGETS)
    for precision in precisions:
        if precision not in PRECISIONS:
            raise UnknownNameError.of("precision", precision, PRECISIONS)
    takes = Takes.of(source)
    return tuple(
        Candidate(spec)
        for name in runners or default_runners()
        for own in _specs(name, precisions)
        for spec in _for_targets(own, targets)
        if takes.row(spec) and not (spec.precision == "int8+fp16" and int8_target(spec.runner) == "cpu")
    )


def candidates_of(options: ChoiceOptions, card: ModelCard | None) -> tuple[Candidate, ...]:
    """Return what the options ask for, the candidates of the first size first.

    Raises:
        ShapeError, ExportError: not a network size, or one below the network's stride.
        GraphError: the file cannot get another network size.
        RunnerError: nothing is left.
        UnknownNameError: as of `list_candidates`.
    """
    plain = list_candidates(options.model, options.runners, options.precisions, options.targets)
    own, divisor = ("", 1) if card is None else (card.network_size, card.divisor)
    asked = (own,) if options.sizes is None else tuple(dict.fromkeys(map(network_size_text, options.sizes)))
    for text in asked:
        if card is not None and text != own:
            with_network_size(card, text)
    found = tuple(
        replace(each, size=NetworkSize.parse(text), divisor=divisor, resized=text != own)
        for text in asked
        for each in plain
    )
    if not found:
        raise RunnerError(
            "no installed runner takes this file in one of the precisions and targets; see fcn-deploy doctor"
        )
    return found


def _specs(name: str, precisions: Sequence[str]) -> list[RunnerSpec]:
    given = parse_spec(name)
    if entry(given.runner).opens == "network":
        raise UnknownNameError(f"{REFERENCE} is what the candidates are compared with; leave it out of the runners")
    if given.precision is not None:
        return [given]
    # the precision follows the runner's name: what is behind it is a device or a type
    head, *rest = name.split(":")
    return [given if precision == PLAIN else parse_spec(":".join([head, precision, *rest])) for precision in precisions]


def _for_targets(spec: RunnerSpec, targets: Sequence[str] | None) -> Iterator[RunnerSpec]:
    """Yield the row with each INT8 file that it is tried with: "openvino:int8", "openvino:int8 for tensorrt"."""
    if targets is None or "int8" not in str(spec.precision):
        yield spec
        return
    for target in targets:
        if target == spec.target:
            yield spec
        elif not spec.is_engine:
            yield replace(spec, text=f"{spec.text} for {target}", asked_target=cast(Target, target))
