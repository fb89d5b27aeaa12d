"""Begin, resume or restart a training run in its folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcn_deploy.data.splits import list_text, share_of, write_list
from fcn_deploy.errors import FcnDeployError, TrainingError
from fcn_deploy.quantization.plan import QuantizationPlan
from fcn_deploy.system.apart import release
from fcn_deploy.system.arguments import checked
from fcn_deploy.system.files import StrPath, write_text
from fcn_deploy.system.interrupt import StopRequest
from fcn_deploy.system.progress import SILENT, Progress
from fcn_deploy.training.config import TrainConfig
from fcn_deploy.training.folder import (
    PAGE,
    VAL_LIST,
    Start,
    check_outputs,
    remove_partial_files,
    remove_run,
    saved_run,
    sole_run,
)
from fcn_deploy.training.opening import opening_lines
from fcn_deploy.training.page import write_page
from fcn_deploy.training.quantized import INT8_FILE, PLAN, planned, quantise, write_int8
from fcn_deploy.training.run import BEST, LAST, LOG, Run
from fcn_deploy.training.setup import TrainArguments, config_of, new_model, open_run_inputs
from fcn_deploy.training.state import EpochRecord, Position
from fcn_deploy.training.step import Stepper, choose_device

if TYPE_CHECKING:
    from typing_extensions import Unpack


@dataclass(frozen=True)
class TrainResult:
    """Hold how a run ended.

    Attributes:
        config, position: the settings, and how far the run came: its steps, its epochs and the best of them.
        stopped_by: number of the signal that stopped it early; None if it is finished.
        resumed: whether it went on from a saved state.
    """

    config: TrainConfig
    position: Position
    stopped_by: int | None
    resumed: bool

    @property
    def best(self) -> Path:
        return self.config.output / BEST

    @property
    def last(self) -> Path:
        return self.config.output / LAST

    @property
    def int8(self) -> Path | None:
        """Return the INT8 file of the best checkpoint, if the run was for INT8 and is finished."""
        path = self.config.output / INT8_FILE
        return path if self.config.quantize is not None and path.is_file() else None

    @property
    def page(self) -> Path | None:
        """Return the page about the run, if it was written."""
        path = self.config.output / PAGE
        return path if path.is_file() else None

    @property
    def seconds(self) -> float:
        """Return the time spent in epochs, validation included."""
        return sum(record.seconds for record in self.position.history)

    @property
    def left_out(self) -> int:
        """Return the training and validation images that could not be used."""
        return max(record.left_out for record in self.position.history)

    def to_plain(self) -> dict[str, Any]:
        """Return the last and the best epoch as JSON holds them; mIoUs and accuracies are fractions 0..1."""
        last = self.position.history[-1]
        return {
            "epochs": len(self.position.history),
            "steps": self.position.step,
            "seconds": round(self.seconds, 1),
            "left_out": self.left_out,
            "loss": last.loss,
            "mean_iou": last.mean_iou,
            "pixel_accuracy": last.pixel_accuracy,
            "boundary_mean_iou": last.boundary_mean_iou,
            "best_mean_iou": self.position.best_mean_iou,
            "best_epoch": self.position.best_epoch,
            "best": str(self.best),
            "last": str(self.last),
            "int8": None if self.int8 is None else str(self.int8),
            "page": None if self.page is None else str(self.page),
        }


@checked
def train(
    *,
    output: StrPath,
    start: Start = "new",
    on_epoch: Callable[[EpochRecord], None] = lambda record: None,
    progress: Progress = SILENT,
    **settings: Unpack[TrainArguments],
) -> TrainResult:
    """Train an FCN on a labelled data set.

    The same settings give the same weights, bit for bit on a CPU with the same number of threads, whether the run was
    stopped and resumed or not, and with any number of workers.

    Args:
        output: the folder of the run; it gets best.safetensors and last.safetensors (weights with their model card),
            log.jsonl (one line per epoch), state.safetensors, from which the run can be resumed, and at its end
            report.html (curves, classes, frames).
        start: "new" refuses a folder that holds a run, "resume" continues it with its settings (or starts one, if
            there is none), "restart" deletes it.
        on_epoch: called with the record of each finished epoch.
        settings: `data` and `val` (needed to start a run), in the forms of `evaluate`, `val` also as a share of `data`
            such as "0.2" (its images are listed in val/list.txt), and any of these, with their defaults:
            labels, val_labels = None: folders of label maps, where data and val are folders of images.
            classes, ignore_index, label_values, label_suffix, class_map = None, reduce_zero_label = False: how label
            maps are found and read, as in `DataOptions`; split = "train", val_split = "val": parts of data and val.
            bad_images = "stop": what to do at an unreadable image; "skip" leaves it out.
            quantize = None: a quantization recipe; the network of `init` is then tuned in INT8 arithmetic (epochs = 5,
            lr = 0.001, the network that `init` holds), and best.int8.onnx is the INT8 file of the best checkpoint.
            model = "fcn8s"; init = None: the network, and the checkpoint that its weights start from; None is random.
            width = 1.0, head = "fc", upsampling = "bilinear", learned = True: shape of the network.
            epochs = 60, batch = 4: passes over the training set, and images per step.
            crop = (320, 320), scale = (0.75, 1.5), flip = True: height and width of the training crops in pixels,
            factors of the random resizing, and whether half of the crops are mirrored.
            lr = 0.01, momentum = 0.9, weight_decay = 0.0005, warmup = None, poly_power = 0.9, clip_norm = 5.0: SGD; the
            rate rises in `warmup` steps, a twentieth of the run, then falls; gradients are clipped at an L2 norm.
            seed = 0: decides weights, order, augmentation and dropout.
            eval_every = 1: epochs between validations.
            device = "auto", amp = None, workers = 0: where to train, whether in mixed precision (None: on a GPU), and
            processes that load images.
            save_seconds = 60.0: longest time between two saves of the state.

    Returns:
        The paths `best` and `last`, the history of the epochs, and the signal that stopped the run early, if any.

    Raises:
        TrainingError: no data, a value out of range, a folder that holds another run or files of no run, a device
            that is not there, or a loss that is no longer finite.
        DataError, CheckpointError, OutputError: a data set, a checkpoint or the folder cannot be used.

    Example:
        >>> import fcn_deploy
        >>> scenes = {"data": "synthetic:4:0:48x64", "val": "synthetic:2:1:48x64"}
        >>> run = fcn_deploy.train(**scenes, output="run", width=0.05, epochs=1, crop=(32, 32), device="cpu")
        >>> run.position.step, run.best.name, fcn_deploy.load(run.best)
        (1, 'best.safetensors', <Model fcn8s, 8 classes, pytorch>)
    """
    folder = Path(output)
    config = config_of(folder, settings, resume=start == "resume")
    return run_training(config, start=start, on_epoch=on_epoch, progress=progress)


def run_training(
    config: TrainConfig,
    *,
    start: Start = "new",
    on_epoch: Callable[[EpochRecord], None] = lambda record: None,
    progress: Progress = SILENT,
) -> TrainResult:
    """Train as `config` says, alone in its folder; see `train`."""
    with sole_run(config.output):
        return _run(config, start, on_epoch, progress)


def _run(config: TrainConfig, start: Start, on_epoch: Callable[[EpochRecord], None], progress: Progress) -> TrainResult:
    precision = choose_device(config.device, config.amp)
    saved = saved_run(config, start)
    remove_partial_files(config.output)
    if saved is not None and len(saved.position.history) == config.epochs and (config.output / PAGE).exists():
        if config.quantize is not None and not (config.output / INT8_FILE).exists():
            write_int8(config.output, config.output / BEST, progress)
        return TrainResult(config, saved.position, None, True)
    material = open_run_inputs(config, progress)
    if saved is not None and saved.fingerprint != material.fingerprint:
        raise TrainingError(f"the data have changed since {config.output} was begun; --restart starts over")
    begun = config if saved is None else replace(config, init=None)  # a resumed run takes its weights from its state
    model = new_model(begun, material.card, progress)
    plan = None
    if config.quantize is not None:
        kept = None if saved is None else QuantizationPlan.load(config.output / PLAN)
        plan = kept or planned(model, material.card, Path(config.quantize), progress)
        quantise(model, plan)
    stepper = Stepper(model, material.card, config, precision)
    if share_of(config.val) is not None:
        list_text(material.val)
    check_outputs(config)  # after all else that can fail, so that a mistake leaves no folder
    if saved is None:
        remove_run(config.output)
        write_text(config.output / LOG, "")  # from now on the folder is a run's
        if plan is not None:
            plan.save(config.output / PLAN)
    if share_of(config.val) is not None:
        write_list(material.val, config.output / VAL_LIST)
    run = Run(config, material, stepper, on_epoch, progress)
    if saved is not None:
        run.restore(saved)
    for line in opening_lines(config, stepper.contract.model, material, precision.device.type, run.position.step):
        progress.say(line)
    progress.say(f"training; {config.output / LOG} gets one line per epoch")
    with StopRequest() as stop:
        if plan is not None and saved is None:
            run.say_untrained(stop)
        run.train(stop)
    finished = len(run.position.history) == config.epochs  # a signal during the last save stopped nothing
    if finished:
        release(config.output / BEST)  # which a resumed run may have left as it was
        if plan is not None and not (config.output / INT8_FILE).exists():
            write_int8(config.output, config.output / BEST, progress)
        _write_page(run, progress)  # the last file: with it a run is complete
    return TrainResult(config, run.position, None if finished else stop.signal, saved is not None)


def _write_page(run: Run, progress: Progress) -> None:
    """Write the page; a run is not lost because that fails."""
    folder = run.config.output
    try:
        with progress.task("writing the page", None):
            device = run.stepper.precision.device
            write_page(folder / PAGE, folder / BEST, run.config, run.position, run.material, device)
    except FcnDeployError as error:
        progress.say(f"{folder / PAGE} is not written: {error}")
