"""Say which GPUs compute in FP8 and BF16, and which of those that a user names do not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from fcn_deploy.audit.audit import Audit
from fcn_deploy.audit.finding import Finding

# The first compute capability of each: Ada for FP8, Ampere for BF16. TensorRT for RTX 1.7.1 builds for no other.
LEAST_SM = {"FP8": 89, "BF16": 80}


def capability(sm: int) -> str:
    """Write 89 as "8.9"."""
    return f"{sm // 10}.{sm % 10}"


def lacking(kind: str, names: Iterable[str]) -> list[str]:
    """Return those of "SM86", "SM120", ... that do not compute in `kind`, as the audit names it."""
    least = LEAST_SM.get(kind, 0)
    return [name for name in names if int(name.removeprefix("SM")) < least]


def for_gpus(found: Audit, names: Sequence[str]) -> Audit:
    """Put what these GPUs ("SM86", ...) lack before the other findings; without names, the GPUs it needs after them."""
    own = tuple(capability_findings(found.totals, names))
    return replace(found, findings=(*own, *found.findings) if names else (*found.findings, *own))


def capability_findings(kinds: Iterable[str], names: Sequence[str]) -> Iterator[Finding]:
    """Yield an error for each type that a named GPU lacks; a warning with what GPUs it needs where none is named.

    Args:
        kinds: what the file computes in.
        names: "SM86", ...; () if the user named none.
    """
    for kind in (kind for kind in LEAST_SM if kind in kinds):
        least = f"GPUs have it from compute capability {capability(LEAST_SM[kind])} on (SM{LEAST_SM[kind]})"
        if names and (without := lacking(kind, names)):
            fix = "build for another GPU, or take fp16 or int8+fp16"
            yield Finding("compute-capability", "error", tuple(without), f"has no {kind}: {least}", fix)
        elif not names:
            yield Finding("compute-capability", "warning", (), f"the file computes in {kind}: {least}", "")
