"""The tables of the suites `quantization` and `scenes`: accuracy and time of each file, ours next to other tools'."""

from __future__ import annotations

from typing import Any

from fcn_deploy.system.formatting import milliseconds, points, share


def precision_table(record: dict[str, Any]) -> str:
    """Markdown: a row a file and runner, in points against the first, with the intervals that the record holds."""
    first = record["rows"][0]
    if "worst_class" not in first:
        return accuracy_table(record)
    lines = [
        "| file | mIoU, % | change, points (95 % interval) | at boundaries | worst class | same labels | MB | ms |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in record["rows"]:
        name = row["name"] if row["runner"] == first["runner"] else f"{row['name']}, in {row['runner']}"
        cells = [name, f"{row['mean_iou']:.2f}", *(_accuracy(row) if row is not first else [""] * 4)]
        lines.append(f"| {' | '.join(cells)} | {row['bytes'] / 1e6:.1f} | {milliseconds(median_ms(row))} |")
    return "\n".join(lines) + "\n\n" + peers_table(record)


def accuracy_table(record: dict[str, Any]) -> str:
    """Markdown of the records before 2026-11-28, which hold no times, no worst class and fewer tools."""
    lines = [
        "| file | mIoU, % | change, points (95 % interval) | at boundaries, points | same labels | MB |",
        "|---|---|---|---|---|---|",
    ]
    for index, row in enumerate(record["rows"]):
        changes = (change(*row[name]) if index else "" for name in ("change", "boundary_change"))
        same = f"{share(*row['same_labels'])} %" if index else ""
        cells = [row["name"], f"{row['mean_iou']:.2f}", *changes, same, f"{row['bytes'] / 1e6:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _accuracy(row: dict[str, Any]) -> list[str]:
    worst = row["worst_class"]
    return [
        change(*row["change"]),
        change(*row["boundary_change"]),
        f"{worst['name']} {points(worst['change'][0])}",
        f"{share(*row['same_labels'])} %",
    ]


def peers_table(record: dict[str, Any]) -> str:
    """Markdown: a row another tool's file and runner: our INT8 less it, by a paired bootstrap, and both times."""
    lines = [
        "| next to | ours for cpu has, points | ours for tensorrt has, points | ours is | times as fast |",
        "|---|---|---|---|---|",
    ]
    rows = {(row["name"], row["runner"]): row for row in record["rows"]}
    for (name, runner), row in rows.items():
        if "against" not in row:
            continue
        cells = [change(*row["against"][target]["change"]) for target in ("cpu", "tensorrt")]
        times = median_ms(row) / median_ms(rows["INT8, cpu", runner])
        lines.append(f"| {name}, in {runner} | {' | '.join(cells)} | {verdict(row)} | {times:.2f} |")
    return "\n".join(lines) + "\n"


def verdict(row: dict[str, Any]) -> str:
    """Return what the interval of our INT8 for cpu less another tool's says."""
    value, low, high = row["against"]["cpu"]["change"]
    if low is None or low <= 0 <= high:
        return "equal"
    return "better" if value > 0 else "**worse**"


def median_ms(row: dict[str, Any]) -> float:
    ordered = sorted(row["samples_ms"])
    middle = len(ordered) // 2
    return float(ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2)


def change(value: float, low: float | None, high: float | None) -> str:
    return points(value) + ("" if low is None or high is None else f" ({low:+.2f} to {high:+.2f})")
