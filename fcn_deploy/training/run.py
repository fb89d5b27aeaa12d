"""A run under way: epochs, validation, checkpoints and the state to resume from."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace

from fcn_deploy.card import ModelCard
from fcn_deploy.errors import TrainingError
from fcn_deploy.models.checkpoints import save_model
from fcn_deploy.system.files import write_text
from fcn_deploy.system.interrupt import StopRequest
from fcn_deploy.system.progress import Once, Progress
from fcn_deploy.system.serialization.plain import plain
from fcn_deploy.training.config import TrainConfig, command_line
from fcn_deploy.training.loading import (
    Augmentation,
    Batch,
    BatchKeys,
    TrainingImages,
    fill_colour,
    loader,
    worker_advice,
)
from fcn_deploy.training.opening import Pace
from fcn_deploy.training.setup import RunInputs
from fcn_deploy.training.state import STATE_FILE, EpochRecord, Position, SavedState, read_tensors, write_state
from fcn_deploy.training.step import Stepper, default_warmup, learning_rate
from fcn_deploy.training.validate import Validation, validate

BEST, LAST, LOG = "best.safetensors", "last.safetensors", "log.jsonl"
_SAVING_SHARE = 20  # saving the state may take a twentieth of the time


class Run:
    """A run under way."""

    def __init__(
        self,
        config: TrainConfig,
        material: RunInputs,
        stepper: Stepper,
        on_epoch: Callable[[EpochRecord], None],
        progress: Progress,
    ) -> None:
        self.config, self.material, self.stepper = config, material, stepper
        self.on_epoch, self.progress = on_epoch, Once(progress)
        self.position = Position()
        self.steps_per_epoch = -(-len(material.train) // config.batch)
        self.total_steps = config.epochs * self.steps_per_epoch
        self.warmup = default_warmup(self.total_steps) if config.warmup is None else config.warmup
        self.save_after = time.monotonic() + config.save_seconds
        self.save_epoch_after = 0.0
        self.pace = Pace(self.steps_per_epoch, config.epochs)

    def restore(self, saved: SavedState) -> None:
        read_tensors(self.config.output / STATE_FILE, self.stepper.contract.model, self.stepper.optimizer)
        self.position = saved.position
        self.pace.epochs -= len(self.position.history)
        if self.position.scaler:
            self.stepper.scaler.load_state_dict(self.position.scaler)
        self._write_log()  # a kill came before its last line, or after lines of epochs that are done again

    def train(self, stop: StopRequest) -> None:
        """Train to the end, or until `stop`, leaving the state in the folder either way."""
        with worker_advice(self.config.workers), closing(self._batches()) as batches:
            while len(self.position.history) < self.config.epochs:
                self._train_epoch(batches, stop)
                record = None if stop else self._close_epoch(stop)
                if record is None:
                    self._save_midway()
                    return
                self.on_epoch(record)

    def _batches(self) -> Generator[Batch, None, None]:
        """Yield batches from the current step on; closing it ends the loading processes."""
        config, card = self.config, self.material.card
        fill = fill_colour(card.mean, card.channel_order)
        augmentation = Augmentation(config.crop, config.scale, config.flip, fill, card.ignore_index)
        images = TrainingImages(self.material.train, augmentation, config.seed)
        keys = BatchKeys(len(self.material.train), config.batch, config.epochs, config.seed, self.position.step)
        on_gpu = self.stepper.precision.device.type == "cuda"
        yield from loader(images, keys, workers=config.workers, pin_memory=on_gpu)

    def _train_epoch(self, batches: Iterator[Batch], stop: StopRequest) -> None:
        """Take the steps to the end of the current epoch; none if only the validation is missing."""
        epoch = len(self.position.history)
        end = (epoch + 1) * self.steps_per_epoch
        self.stepper.contract.train()
        with self.progress.task(f"epoch {epoch + 1}/{self.config.epochs}", self.steps_per_epoch) as task:
            task.advance(self.position.step - epoch * self.steps_per_epoch, self._note())
            while self.position.step < end and not stop:
                began = time.monotonic()
                self._step(next(batches))
                seconds = time.monotonic() - began
                self.position.seconds += seconds
                task.advance(1, self._note())
                if estimate := self.pace.after(seconds):
                    self.progress.say(estimate)
                if time.monotonic() > self.save_after:
                    self._save_midway()

    def _step(self, batch: Batch) -> None:
        position = self.position
        self._report(batch)
        lr = self._learning_rate(position.step)
        loss_sum, pixels = self.stepper.step(batch, position.step, lr)
        if not math.isfinite(loss_sum):
            raise TrainingError(self._diverged("loss", lr))
        position.step += 1
        position.loss_sum += loss_sum
        position.pixels += pixels
        position.left_out += len(batch.errors)

    def _learning_rate(self, step: int) -> float:
        return learning_rate(step, self.total_steps, self.config.lr, self.warmup, self.config.poly_power)

    def _report(self, batch: Batch) -> None:
        """Stop at what cannot be used, or leave the image out and say so once."""
        for error in batch.errors:
            if self.config.bad_images == "stop":
                raise error
            self.progress.say(f"left out: {error}")

    def _diverged(self, what: str, lr: float) -> str:
        return (
            f"the {what} is no longer a finite number at step {self.position.step + 1} "
            f"(epoch {len(self.position.history) + 1}, learning rate {lr:.3g}); "
            f"try --restart with --lr {self.config.lr / 10:.3g} or a longer --warmup (now {self.warmup} steps)"
        )

    def _note(self) -> str:
        position = self.position
        loss = f"loss {position.loss_sum / position.pixels:.3f}" if position.pixels else ""
        best = "" if position.best_mean_iou is None else f"best mIoU {position.best_mean_iou:.1%}"
        return "  ".join(filter(None, (loss, best)))

    def _close_epoch(self, stop: StopRequest) -> EpochRecord | None:
        """Validate, record, save. None, and nothing changed, if `stop` came during the validation."""
        position, epoch = self.position, len(self.position.history) + 1
        began = time.monotonic()
        scored: Validation | None = Validation()
        if not position.pixels:
            raise TrainingError(f"{self.config.data} has no labelled pixel in its {len(self.material.train)} images")
        if not self.stepper.weights_finite():  # the last step's loss was computed before it
            raise TrainingError(self._diverged("largest weight", self._learning_rate(position.step - 1)))
        if epoch % self.config.eval_every == 0 or epoch == self.config.epochs:
            scored = self._validate(stop)
        if scored is None:
            return None
        record = EpochRecord(
            epoch,
            position.step,
            position.loss_sum / position.pixels,
            self._learning_rate(position.step - 1),
            scored.mean_iou,
            scored.pixel_accuracy,
            scored.boundary_mean_iou,
            round(position.seconds + time.monotonic() - began, 3),
            position.left_out + scored.left_out,
            scored.per_class_iou,
        )
        self._save_epoch(record)
        return record

    def say_untrained(self, stop: StopRequest) -> None:
        """Report what the quantised network scores before it is tuned."""
        scored = self._validate(stop)
        if scored is not None and scored.mean_iou is not None:
            self.progress.say(f"INT8 without training: mIoU {scored.mean_iou:.2%}")

    def _validate(self, stop: StopRequest) -> Validation | None:
        return validate(
            self.stepper.contract,
            self.material.val,
            self.material.card.ignore_index,
            skip_bad=self.config.bad_images == "skip",
            stop=lambda: bool(stop),
            progress=self.progress,
        )

    def _save_epoch(self, record: EpochRecord) -> None:
        """Checkpoints first, then the state that counts the epoch as done, then the log, which `restore` writes again.

        A kill before the state repeats the epoch, which writes the checkpoints again. The first epoch, the best and the
        last have a state, and others as far as saving keeps to its share of the time.
        """
        position, folder, model = self.position, self.config.output, self.stepper.contract.model
        card = self._card(record)
        best = record.mean_iou is not None and (
            position.best_mean_iou is None or record.mean_iou > position.best_mean_iou
        )
        if best:
            save_model(folder / BEST, model, card)
            position.best_mean_iou, position.best_epoch = record.mean_iou, record.epoch
        position.history.append(record)
        position.loss_sum, position.pixels, position.seconds, position.left_out = 0.0, 0, 0.0, 0
        due = best or record.epoch == self.config.epochs or time.monotonic() >= self.save_epoch_after
        if due or not (folder / STATE_FILE).exists():
            save_model(folder / LAST, model, card)
            self._save_state()
        self._write_log()

    def _write_log(self) -> None:
        lines = (json.dumps(plain(line)) for line in self.position.history)
        write_text(self.config.output / LOG, "".join(f"{line}\n" for line in lines))

    def _card(self, record: EpochRecord | None) -> ModelCard:
        """Return the card with where the weights come from; without a record they are those within an epoch."""
        validated = record is not None and record.mean_iou is not None
        score = f"{record.mean_iou:.4f} on {self.config.val}" if record and validated else "not validated"
        done = record.epoch if record else f"{self.position.step / self.steps_per_epoch:.2f}"
        notes = {
            "command": command_line(self.config),
            "training_data": f"{self.config.data} ({len(self.material.train)} images)",
            "epoch": f"{done} of {self.config.epochs}",
            "mean_iou": score,
        }
        return replace(self.material.card, notes=notes)

    def _save_midway(self) -> None:
        """Leave, next to the state, a checkpoint of the weights so far, which every command takes."""
        began = time.monotonic()
        if self.stepper.weights_finite():
            save_model(self.config.output / LAST, self.stepper.contract.model, self._card(None))
        spent = time.monotonic() - began
        self._save_state()
        self.save_after += _SAVING_SHARE * spent

    def _save_state(self) -> None:
        began = time.monotonic()
        self.position.scaler = self.stepper.scaler.state_dict()
        saved = SavedState(self.position, self.config, self.material.fingerprint)
        write_state(self.config.output / STATE_FILE, self.stepper.contract.model, self.stepper.optimizer, saved)
        now = time.monotonic()
        pause = _SAVING_SHARE * (now - began)
        self.save_after = now + max(self.config.save_seconds, pause)
        self.save_epoch_after = now + min(self.config.save_seconds, pause)
