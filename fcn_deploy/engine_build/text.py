"""Render an engine that was built, or found to be up to date, as lines."""

from __future__ import annotations

from fcn_deploy.engine.builder.build import BuildReport
from fcn_deploy.engine.sidecar import Sidecar
from fcn_deploy.vocabulary import shape_text


def render(report: BuildReport) -> str:
    """Return lines on the file, the profiles and the precision of the layers."""
    sidecar = report.sidecar
    head = _written(report) if report.built else f"{report.path} is up to date"
    return "\n".join([head, *_profile_lines(sidecar), *_precision_lines(sidecar)])


def _written(report: BuildReport) -> str:
    sidecar = report.sidecar
    peak = "" if sidecar.peak_bytes is None else f", {sidecar.peak_bytes / 1e6:.0f} MB of memory at most"
    return (
        f"wrote {report.path}, {sidecar.plan_bytes / 1e6:.1f} MB, and {report.path.name}.json in "
        f"{sidecar.seconds:.1f} s{peak}"
    )


def _profile_lines(sidecar: Sidecar) -> list[str]:
    lines = [f"{sidecar.flavor} {sidecar.version}, for {sidecar.built_for.targets()}; N x H x W:"]
    for profile, activations in zip(sidecar.profiles, sidecar.activation_bytes, strict=True):
        memory = "" if activations is None else f"   {activations / 1e6:.1f} MB of activations"
        lines.append(f"  {profile}{memory}")
    return lines


def _precision_lines(sidecar: Sidecar) -> list[str]:
    """Return the shares by the builder's own list, and which layers are not in the type that was asked for."""
    shares = sidecar.shares
    if shares is None:
        return ["the builder did not list its layers"]
    total = sum(shares.built.values()) or 1
    parts = ", ".join(f"{name} {100 * macs / total:.1f} %" for name, macs in shares.built.items())
    size = shape_text(shares.size[1:])
    verdict = "as the file's types ask" if not shares.disagreements else "NOT as the file's types ask:"
    return [
        f"built as {parts} of {total / 1e9:.3g} GMAC at {size}, {verdict}",
        *(f"  {line}" for line in shares.kinds()),
    ]
