"""Search the smallest set of layers to leave in float that is good enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Layers = tuple[str, ...]


def smallest_set(order: Sequence[str], meets: Callable[[Layers], bool]) -> Layers | None:
    """Find a small set of layers to keep in float such that `meets(set)`; None if no tried one does.

    The answer is expected to be small, so the first 1, 2, 4, ... of `order` are tried, then the shortest good beginning
    is found by bisection, then each member that the rest can do without is let go, the least sensitive first. At least
    one layer is left out of every set: with all of them in float nothing would be INT8. More layers in float do not
    always mean a better mIoU; whatever is returned was tried itself.

    Args:
        order: the layers, the most sensitive first; the empty set is known not to meet.
        meets: tries one set, given in the order of `order`; may be asked for the same set twice.
    """
    kept = _shortest_prefix(order, meets)
    for layer in reversed(kept or ()):
        fewer = tuple(other for other in kept or () if other != layer)
        if fewer and meets(fewer):
            kept = fewer
    return kept


def _shortest_prefix(order: Sequence[str], meets: Callable[[Layers], bool]) -> Layers | None:
    """Return the shortest beginning of `order` that meets, if longer ones are taken to do so too."""
    most = len(order) - 1
    fails, works = 0, min(1, most)
    while works and not meets(tuple(order[:works])):
        if works == most:
            return None
        fails, works = works, min(2 * works, most)
    while works - fails > 1:
        middle = (fails + works) // 2
        if meets(tuple(order[:middle])):
            works = middle
        else:
            fails = middle
    return tuple(order[:works]) or None
