"""Decode and write images in a process of its own: `python -m fcn_deploy.prediction.workers.process SOCKET MEMORY`."""

from __future__ import annotations

import pickle
import signal
import sys
from multiprocessing.connection import Connection

from fcn_deploy.prediction.workers.slots import Slots
from fcn_deploy.prediction.workers.tasks import Answer
from fcn_deploy.system.interrupt import ENDING


def main(socket: int, memory: int) -> None:
    """Answer the tasks of the parent, in order, until it closes the socket.

    Signals that reach a whole group of processes are the parent's to answer; a file that was begun is finished.
    """
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    parent = Connection(socket)
    try:
        image_io, count = pickle.loads(parent.recv_bytes())
        slots = Slots(memory, count)
        while True:
            task = pickle.loads(parent.recv_bytes())
            if not slots.stopped:
                parent.send_bytes(pickle.dumps(Answer.to(task, image_io, slots)))
    except (EOFError, ConnectionError):
        return


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
