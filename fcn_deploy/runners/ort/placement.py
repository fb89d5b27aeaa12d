"""Name ONNX Runtime's providers, and say which nodes of a graph each of them took."""

from __future__ import annotations

from collections import Counter
from typing import Any

from fcn_deploy.errors import RunnerError

SUFFIX = "ExecutionProvider"


def short_names(providers: list[str]) -> list[str]:
    """["CPUExecutionProvider", ...] -> ["cpu", ...]"""
    return [provider.removesuffix(SUFFIX).lower() for provider in providers]


def placement(name: str, session: Any, wanted: str) -> tuple[str, ...]:
    """Return which nodes other providers got; RunnerError if `wanted` got none."""
    if not hasattr(session, "get_provider_graph_assignment_info"):  # onnxruntime < 1.24
        return ()
    subgraphs = session.get_provider_graph_assignment_info()
    placed = {part.ep_name: Counter[str]() for part in subgraphs}
    for part in subgraphs:
        placed[part.ep_name].update(node.op_type for node in part.get_nodes())
    if not placed.get(wanted):
        raise RunnerError(f"{name}: {wanted} took no node of the graph; all of it would run elsewhere")
    total = sum(sum(nodes.values()) for nodes in placed.values())
    return tuple(
        f"{sum(nodes.values())} of {total} nodes run on {short_names([provider])[0]}: "
        + ", ".join(f"{operator} {count}" for operator, count in nodes.most_common(4))
        for provider, nodes in placed.items()
        if provider != wanted
    )
