"""The tests: unit/ mirrors the package, integration/ has a file or more per command, support/ what they share."""

import os

# Libraries read these as they load. Threads that wait for each other sleep: on cores that other tests use too, threads
# that spin take a hundred times what the work takes (bench gives PyTorch a thread per core, and they outlast the test).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "PYTEST_XDIST_WORKER" in os.environ:  # one core per worker and its children
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
