"""Parse an ONNX file with a TensorRT library's own parser: its network, or its complaints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fcn_deploy.audit.finding import Finding
from fcn_deploy.engine.flavors import Flavor, open_flavor
from fcn_deploy.engine.logger import LogMessages, capture_log, create, significant_lines
from fcn_deploy.errors import EngineError


@dataclass(frozen=True)
class Parsed:
    """The library's objects; all of them live as long as the network is used.

    Attributes:
        findings: what the parser, or a look at the network, says against the file; empty if it can be built.
    """

    builder: Any
    network: Any
    parser: Any
    findings: tuple[Finding, ...]


def parser_findings(path: Path, flavor: str | None = None) -> tuple[Finding, ...]:
    """Let a library parse the file; each of its complaints as an error. No GPU is needed with TensorRT for RTX.

    Raises:
        MissingDependencyError: the package is not installed, or does not load.
        EngineError: the library cannot start here.
    """
    return parse(open_flavor(flavor), path).findings


def parse(flavor: Flavor, path: Path) -> Parsed:
    """Parse the file, with the external data next to it.

    Any bytes pass the parser of some releases, as a network without inputs and outputs; that is a finding too.

    Raises:
        EngineError: the library cannot start here (without a GPU most cannot).
    """
    with capture_log(flavor.module) as log:
        builder, network, parser = _start(flavor, log)
        accepted = parser.parse_from_file(str(path))
    findings = [_finding(flavor, parser.get_error(index)) for index in range(parser.num_errors)]
    if accepted and not (network.num_inputs and network.num_outputs):
        problem = f"{flavor.title} finds {network.num_inputs} inputs and {network.num_outputs} outputs in the file"
        findings.append(Finding("parser", "error", (), problem, "export the model again"))
    elif not accepted and not findings:
        findings.append(Finding("parser", "error", (), f"{flavor.title} rejects the file: {log.reason()}", ""))
    return Parsed(builder, network, parser, tuple(findings))


def _start(flavor: Flavor, log: LogMessages) -> tuple[Any, Any, Any]:
    """Return a builder, an empty network and its parser; EngineError where the library gives none."""
    trt, flags = flavor.module, flavor.module.NetworkDefinitionCreationFlag
    bits = 1 << int(flags.STRONGLY_TYPED) if flavor.traits.typed_flag else 0
    if flavor.traits.explicit_batch:
        bits = 1 << int(flags.EXPLICIT_BATCH)
    builder = create(trt, trt.Builder)
    network = None if builder is None else builder.create_network(bits)
    # An empty network is false, so not `if not network`.
    parser = None if network is None else create(trt, trt.OnnxParser, network)
    if parser is None:
        raise EngineError(f"{flavor.title} cannot start: {log.reason('it gives no reason')}; see fcn-deploy doctor")
    return builder, network, parser


def _finding(flavor: Flavor, error: Any) -> Finding:
    said = " ".join(significant_lines(error.desc()))
    if not flavor.traits.node_names:
        where = f" at node {error.node()}" if error.node() >= 0 else ""
        return Finding("parser", "error", (), f"{flavor.title} rejects the file{where}: {said}", "")
    name, operator = error.node_name(), error.node_operator()
    problem, fix = f"is rejected by {flavor.title}: {said}", ""
    if error.code() in (flavor.module.ErrorCode.UNSUPPORTED_NODE, flavor.module.ErrorCode.INVALID_NODE):
        problem = f"operator {operator} is rejected by {flavor.title}: {said}"
    if "Plugin not found" in said or said == "false":  # its words for an operator that it does not have
        problem, fix = f"operator {operator} is not known to {flavor.title}", "replace it before the export"
    return Finding("parser", "error", (name,) if name else (), problem, fix)
