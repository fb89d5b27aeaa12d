"""A session of fixed sizes between buffers that stay: step by step, or with its copies and one wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from fcn_deploy.errors import RunnerError, first_line
from fcn_deploy.runners.ort.buffers import Buffer, TorchBuffer
from fcn_deploy.runners.ort.messages import reason_of

if TYPE_CHECKING:
    from fcn_deploy.runners.transfers import WholeRun


class FixedSession:
    """A session that runs `image` to `outputs`, both at addresses that stay.

    Attributes:
        image, outputs: what it reads and writes, on its device.
        remark: which options it has, how long a run takes in each that was tried, and what opening took.
        whole: copies and runs with one wait, where that is faster than step by step; else None.
    """

    def __init__(self, session: Any, image: tuple[str, Buffer], outputs: Mapping[str, Buffer]) -> None:
        self._session, self.remark = session, ""
        self.whole: WholeRun | None = None
        name, self.image = image
        self.outputs = tuple(outputs.values())
        self._binding = session.io_binding()
        self.image.bind_input(self._binding, name)
        for output, buffer in outputs.items():
            buffer.bind_output(self._binding, output)

    def run(self) -> None:
        """Run and wait.

        Raises:
            RunnerError: it failed, in onnxruntime's words.
        """
        self._run(None)

    def _run(self, options: Any) -> None:
        try:
            self._session.run_with_iobinding(self._binding, options)
        except Exception as error:  # onnxruntime's exceptions have no base of their own
            raise RunnerError(reason_of(error)) from error

    def infer(self, image: NDArray[Any]) -> list[NDArray[Any]]:
        """Return the outputs for `image` by way of `whole`.

        Raises:
            RunnerError: it failed, in onnxruntime's or CUDA's words.
        """
        assert self.whole is not None
        try:
            return self.whole.infer(image)
        except RuntimeError as error:
            raise RunnerError(first_line(error)) from error

    def try_whole(self, stream: Any) -> None:
        """Run with one wait from now on if that gives the same and is faster; `remark` gives the times of both.

        Args:
            stream: of PyTorch's, which the session was opened with; None on the CPU.
        """
        import onnxruntime

        from fcn_deploy.runners.transfers import WholeRun

        options = onnxruntime.RunOptions()
        options.add_run_config_entry("disable_synchronize_execution_providers", "1")
        try:
            buffers = [buffer.tensor for buffer in (self.image, *self.outputs) if isinstance(buffer, TorchBuffer)]
            whole = WholeRun(stream, buffers[0], partial(self._run, options), buffers[1:])
            whole.choose(self._in_steps)
        except (RunnerError, RuntimeError) as error:
            self.remark += f"; one wait for all steps failed: {first_line(error)}"
            return
        self.remark += f"; {whole.remark}"
        self.whole = whole if whole.way else None

    def _in_steps(self, image: NDArray[Any]) -> list[NDArray[Any]]:
        self.image.write(image)
        self.run()
        return self.read()

    def read(self) -> list[NDArray[Any]]:
        """Return the outputs, in their order, as arrays of the caller's own."""
        return [buffer.read() for buffer in self.outputs]

    def close(self) -> None:
        """Let go of the session and its memory."""
        self._session = self._binding = self.whole = None


def stream_for(buffers: Sequence[Buffer]) -> Any:
    """Return a stream of PyTorch's for a session to run on, None unless all buffers are PyTorch's and on a GPU."""
    tensors = [buffer.tensor for buffer in buffers if isinstance(buffer, TorchBuffer) and buffer.tensor.is_cuda]
    if len(tensors) < len(buffers):
        return None
    import torch

    return torch.cuda.Stream(tensors[0].device)  # type: ignore[no-untyped-call]
