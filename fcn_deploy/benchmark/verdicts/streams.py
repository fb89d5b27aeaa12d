"""Say in sentences how many streams each row holds within the deadline."""

from __future__ import annotations

from fcn_deploy.benchmark.record.measurement import StreamLoad, StreamTest
from fcn_deploy.benchmark.record.streams import HeldStreams, held_streams, p99_ms
from fcn_deploy.benchmark.record.types import Record
from fcn_deploy.system.formatting import count, short_ms


def stream_lines(record: Record) -> list[str]:
    """Return a sentence for each row that was tried, those with the most streams first; then if none holds one."""
    test = record.settings.streams
    found = [(row.name, held) for row in record.rows if (held := held_streams(record, row)) is not None]
    if test is None or not found:
        return []
    ordered = sorted(found, key=lambda one: -one[1].streams)
    lines = [_sentence(name, held, test) for name, held in ordered]
    if ordered[0][1].streams == 0:
        lines.append(f"no row serves {_streams(1, test)}; allow more time (--deadline) or send fewer images (--fps)")
    return lines


def _sentence(name: str, held: HeldStreams, test: StreamTest) -> str:
    beyond = "" if held.beyond is None else _beyond(held.beyond)
    if held.load is None:
        return f"{name} does not hold {_streams(1, test)}: {beyond.removeprefix('at 1 ')}"
    rest = f"; {beyond}" if beyond else ", as many as were tried"
    return f"{name} holds {_streams(held.streams, test)} (p99 {short_ms(p99_ms(held.load))} ms){rest}"


def _streams(streams: int, test: StreamTest) -> str:
    return f"{count(streams, 'stream')} of {test.fps:g} images/s within {1000 * test.deadline_s:g} ms"


def _beyond(load: StreamLoad) -> str:
    if load.given_up:
        return f"at {load.streams} it fell behind: an image took {short_ms(max(load.latency_ns) / 1e6)} ms"
    return f"at {load.streams} p99 is {short_ms(p99_ms(load))} ms"
