"""Types of what is measured of a runner on one kind of images: raw times, memory, and counts of labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from fcn_deploy.system.serialization.decode import at_least
from fcn_deploy.vocabulary import Shape

Counts = tuple[tuple[int, ...], ...]
MostStreams = Annotated[int, at_least(1, 1000)]
Fps = Annotated[float, at_least(0.1, 1000, "a number")]
DeadlineS = Annotated[float, at_least(0.0001, 60, "a number of seconds")]


@dataclass(frozen=True)
class StepTimes:
    """Nanoseconds of the three steps of each round."""

    upload_ns: tuple[int, ...]
    execute_ns: tuple[int, ...]
    download_ns: tuple[int, ...]

    @property
    def steps(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        return self.upload_ns, self.execute_ns, self.download_ns


@dataclass(frozen=True)
class Latency(StepTimes):
    """Times by the host's clock, around calls that wait for the device.

    Attributes:
        warmup_ns: whole inferences before the first round.
        device: the same rounds by events on the GPU's own streams, without launching and waiting; None where the
            runner has none.
    """

    warmup_ns: tuple[int, ...]
    device: StepTimes | None = None


@dataclass(frozen=True)
class Saturated:
    """How many images were done in how many seconds, with the next batch always ready.

    Attributes:
        streamed: whether several were under way at once; otherwise one inference followed the other.
        windows: [images, seconds] of each stretch, runners in turn; `images` and `seconds` are their sums.
        joules: what each device that counts ("gpu 0", "cpu") used in those seconds, whatever else ran on it.
    """

    images: int
    seconds: float
    streamed: bool = False
    windows: tuple[tuple[int, float], ...] = ()
    joules: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class StreamTest:
    """Streams of images, as of cameras, each image an inference of its own: how many of them may be served?

    Attributes:
        most: the largest number of streams to try.
        fps: images per second of each.
        deadline_s: of an image, from its arrival to its labels; 99 of 100 are to keep it.
    """

    most: MostStreams
    fps: Fps
    deadline_s: DeadlineS


@dataclass(frozen=True)
class StreamLoad:
    """How long the images of several streams took from the moment at which the schedule had them arrive.

    Attributes:
        streams: how many.
        seconds: of the schedule.
        latency_ns: of each image, in the order of arrival; up to the one that took too long, if it was `given_up`.
        given_up: whether images took so long that the rest of the schedule was left out.
    """

    streams: Annotated[int, at_least(1)]
    seconds: float
    latency_ns: tuple[int, ...]
    given_up: bool = False


@dataclass(frozen=True)
class Memory:
    """Bytes of resident memory of a process with this runner alone.

    Attributes:
        peak_bytes: the highest, from its start, through loading, to the end of one inference.
        baseline_bytes: when the runner's packages were imported and no model was loaded.
        device_bytes: GPU memory taken from opening to after the inference; None where no GPU is used or CUDA's
            own count cannot be read.
    """

    peak_bytes: int
    baseline_bytes: int
    device_bytes: int | None = None


@dataclass(frozen=True)
class Accuracy:
    """int64[C, C] confusion matrices of all labelled pixels and of those near a label change; row = true class.

    Attributes:
        by_image, boundary_by_image: of each labelled image, in the data set's order; empty for more than 2000 images,
            and the second in records that did not keep it.
        boundary_iou: the int64[3, C] counts of Boundary IoU (Cheng et al.): pixels in both regions, in that of the
            truth, in that of the prediction; empty in records that did not keep them.
    """

    overall: Counts
    boundary: Counts
    images: int
    by_image: tuple[Counts, ...] = ()
    boundary_by_image: tuple[Counts, ...] = ()
    boundary_iou: Counts = ()


@dataclass(frozen=True)
class Agreed:
    """How many pixels have the reference's label, of how many."""

    agreed: int
    pixels: int


@dataclass(frozen=True)
class MarginAgreed:
    """The same where low <= reference margin < high, in logits; `high` is None for the last bin."""

    low: float
    high: float | None
    agreed: int
    pixels: int


@dataclass(frozen=True)
class Agreement:
    """Agreement with the reference: all pixels, near its label changes, and by its logit margin."""

    overall: Agreed
    boundary: Agreed
    by_margin: tuple[MarginAgreed, ...]
    largest_margin: float | None


@dataclass(frozen=True)
class Frame:
    """Agreement of one image with the reference, in pixels."""

    name: str
    agreed: int
    pixels: int


@dataclass(frozen=True)
class Measurement:
    """What was measured on one kind of images; what is None was not measured.

    Attributes:
        shape: None: the data set's images as they are, in batches of `Settings.batch`. N, H, W: the same images resized
            to one of `--image-sizes`, in batches of one of `--batch`.
        accuracy: against labels of the same size; the same for every batch.
        agreement: with the reference's labels; measured on the images as they are.
        frames: agreement of each image with the reference, in the data set's order.
        loads: of the numbers of streams that were tried, in that order.
    """

    shape: Shape | None = None
    latency: Latency | None = None
    saturated: Saturated | None = None
    memory: Memory | None = None
    accuracy: Accuracy | None = None
    agreement: Agreement | None = None
    frames: tuple[Frame, ...] = ()
    loads: tuple[StreamLoad, ...] = ()
