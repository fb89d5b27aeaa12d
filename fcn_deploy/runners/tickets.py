"""Say which slot works for which image, and give results in the order of the images."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from fcn_deploy.errors import RunnerError
from fcn_deploy.vocabulary import Shape

Slot = TypeVar("Slot")
Image = TypeVar("Image")
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class Ticket:
    """An image batch of (N, H, W) on its way through a runner; hand it to `result`, once."""

    number: int
    shape: Shape = (0, 0, 0)


class Tickets(Generic[Slot]):
    """The slots of one runner, free or under a ticket."""

    def __init__(self, name: str, slots: list[Slot]) -> None:
        self._name = name
        self._free = list(slots)
        self._open: dict[Ticket, Slot] = {}
        self._issued = 0

    def __len__(self) -> int:
        """Tickets that are open."""
        return len(self._open)

    @property
    def full(self) -> bool:
        """Whether no slot is free."""
        return not self._free

    def free_slot(self) -> Slot:
        """Return a slot for the next image, free until `issue`; RunnerError if there is none."""
        if self.full:
            raise RunnerError(
                f"runner {self._name}: all {len(self._open)} slots are taken; call result() for a ticket first"
            )
        return self._free[0]

    def issue(self, slot: Slot, shape: Shape = (0, 0, 0)) -> Ticket:
        """Return the ticket of a free slot that has begun its work on an image batch of `shape`."""
        self._free.remove(slot)
        self._issued += 1
        ticket = Ticket(self._issued, shape)
        self._open[ticket] = slot
        return ticket

    def redeem(self, ticket: Ticket) -> Slot:
        """Return the slot of an open ticket, which is free from now on; RunnerError for another runner's ticket."""
        slot = self._open.pop(ticket, None)
        if slot is None:
            raise RunnerError(
                f"runner {self._name}: ticket {ticket.number} is not open; each gives its result once, "
                "and to the runner that issued it"
            )
        self._free.append(slot)
        return slot

    def require_none(self) -> None:
        """RunnerError if a ticket is open."""
        if self._open:
            raise RunnerError(
                f"runner {self._name}: {len(self._open)} tickets are open; call result() for them before upload()"
            )


def in_order(
    images: Iterable[Image],
    submit: Callable[[Image], Ticket],
    result: Callable[[Ticket], Result],
    tickets: Tickets[Slot],
) -> Iterator[Result]:
    """Yield the results of `images` in their order, as many under way at once as slots are free.

    An image that cannot be submitted, or an error of `images` itself, is raised after the results of those before it.
    """
    waiting: deque[Ticket] = deque()
    failure: Exception | None = None
    source = iter(images)
    try:
        while failure is None:
            if waiting and tickets.full:
                yield result(waiting.popleft())
            try:
                waiting.append(submit(next(source)))
            except StopIteration:
                break
            except Exception as error:
                failure = error
        while waiting:
            yield result(waiting.popleft())
    finally:
        for ticket in waiting:
            tickets.redeem(ticket)  # the slot waits for the device before it is used again
    if failure is not None:
        raise failure
