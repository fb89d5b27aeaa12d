"""Define the model card: all that a network's weights do not say and that every stage needs.

It travels inside each artefact (safetensors metadata, ONNX metadata), so no later step guesses a mean or a palette.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from fcn_deploy.errors import RecipeError
from fcn_deploy.network_size import NetworkSize, network_size_text
from fcn_deploy.system.serialization.decode import ExpectedError, Filled, at_least, decode, parse_json
from fcn_deploy.system.serialization.plain import plain

CARD_KEY = "fcn_deploy.card"
CLASSES_NOTE, GUESSED = "classes", "guessed"  # the note of a card whose class names were guessed from their count

# The notes of a rewritten file on the FP32 file that it was made from.
REWRITTEN_FROM, REWRITTEN_FROM_SHA256 = "rewritten from", "rewritten from SHA-256"
FOREIGN = "foreign"  # the model of a card whose network is another tool's: its file is all that is known of it

ChannelOrder = Literal["RGB", "BGR"]
# Unicode categories: control characters, halves of surrogate pairs, separators of lines and paragraphs.
MOST_CLASSES, LONGEST_CLASS = 100_000, 1000
NOT_IN_NAMES = ("Cc", "Cs", "Zl", "Zp")
Option = str | int | float | bool
Triple = tuple[float, float, float]

# ImageNet statistics in units of 0..255, RGB (torchvision's 0.485 0.456 0.406 / 0.229 0.224 0.225 times 255).
IMAGENET_MEAN: Triple = (123.675, 116.28, 103.53)
IMAGENET_STD: Triple = (58.395, 57.12, 57.375)
# Mean BGR of the Caffe VGG-16 and FCN models, 0..255; they divide by nothing.
CAFFE_MEAN: Triple = (104.00699, 116.66877, 122.67892)
CAFFE_STD: Triple = (1.0, 1.0, 1.0)

VOC_CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip


def class_names(names: Sequence[str]) -> tuple[str, ...]:
    """Check class names: not too many, none empty, none twice, each of one line: files of names have one in each.

    Raises:
        RecipeError: naming the class, and for one that appears twice both positions.
    """
    if len(names) > MOST_CLASSES:
        raise RecipeError(f"{len(names)} class names; expected {MOST_CLASSES} at most")
    cleaned = tuple(name.strip() for name in names)
    places: dict[str, int] = {}
    for index, name in enumerate(cleaned):
        if not name:
            raise RecipeError(f"class {index} has an empty name")
        if len(name) > LONGEST_CLASS:
            raise RecipeError(f"class {index} has a name of {len(name)} characters; expected {LONGEST_CLASS} at most")
        if any(unicodedata.category(character) in NOT_IN_NAMES for character in name):
            raise RecipeError(f"class {index} is {name[:60]!r}; a class name has no line breaks or control characters")
        if places.setdefault(name, index) != index:
            raise RecipeError(f"class name '{name}' appears at {places[name]} and again at {index}")
    return cleaned


ClassNames = Annotated[tuple[str, ...], class_names]
Byte = Annotated[int, at_least(0, 255)]


def in_bytes(value: Triple) -> Triple:
    """Return a mean or standard deviation; ExpectedError if it is that of images divided by 255."""
    if 0 < max(value) < 1:
        raise ExpectedError(f"units of 0 to 255: {', '.join(f'{255 * number:.6g}' for number in value)}")
    return value


Pixels = Annotated[Triple, in_bytes]
NetworkSizeText = Annotated[str, network_size_text]


@dataclass(frozen=True)
class ModelCard:
    """What a model is and how its images are made ready.

    Attributes:
        model: name in the model registry ("fcn8s"), or "foreign" of a file that `adopt` took from another tool.
        classes: class names; index = label.
        options: keyword arguments of the model's constructor in addition to the class count (width, head, ...).
        palette: one RGB triple (0..255) per class.
        mean, std: subtracted from and divided into each channel, in units of 0..255, in `channel_order`.
        channel_order: order of the channels that the network itself expects; images are RGB for every user.
        notes: free facts (source, licence, the command that trained it).
        divisor: height and width that the network gets must be multiples of this, 1 where any size will do; those of
            images too (`image_divisor`) where there is no network size, whose sides are rounded to multiples.
        network_size: the size at which the network computes: images are resized to it inside the graph, and the logits
            back (`NetworkSize.text`); "" for the image's own.
    """

    model: Filled
    classes: ClassNames
    options: Mapping[str, Option] = field(default_factory=dict)
    palette: tuple[tuple[Byte, Byte, Byte], ...] = ()
    mean: Triple = IMAGENET_MEAN
    std: Triple = IMAGENET_STD
    channel_order: ChannelOrder = "RGB"
    notes: Mapping[str, str] = field(default_factory=dict)
    divisor: Annotated[int, at_least(1)] = 1
    network_size: NetworkSizeText = ""

    def __post_init__(self) -> None:
        if not self.classes:
            raise RecipeError("a model card needs at least one class name")
        if not self.palette:
            object.__setattr__(self, "palette", voc_palette(len(self.classes)))
        if len(self.palette) != len(self.classes):
            raise RecipeError(f"the palette has {len(self.palette)} colours for {len(self.classes)} classes")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise RecipeError(f"mean and std need three numbers each, std above 0; got {self.mean} and {self.std}")
        if self.channel_order not in ("RGB", "BGR"):
            raise RecipeError(f"channel_order must be RGB or BGR, not {self.channel_order}")

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @property
    def sizing(self) -> NetworkSize | None:
        """The network's size, None where it is the image's."""
        return NetworkSize.parse(self.network_size) if self.network_size else None

    @property
    def image_divisor(self) -> int:
        """Of what the sides of images must be multiples: 1 where the graph resizes them."""
        return 1 if self.network_size else self.divisor

    @property
    def is_foreign(self) -> bool:
        """Whether the network is another tool's, so that PyTorch cannot build it."""
        return self.model == FOREIGN

    @property
    def wide_labels(self) -> bool:
        """Whether labels are int32 (more than 255 classes) and not uint8."""
        return self.ignore_index != 255

    @property
    def ignore_index(self) -> int:
        """Return the label of unlabelled pixels: 255, or -1 where labels are int32."""
        return ignore_index_for(self.num_classes)

    @property
    def classes_guessed(self) -> bool:
        """Whether the class names are generated, so that other names of the same number are as good."""
        return self.notes.get(CLASSES_NOTE) == GUESSED or self.classes == _numbers(self.num_classes)

    def to_json(self) -> str:
        return json.dumps(plain(self))

    @classmethod
    def from_json(cls, text: str, path: str | Path) -> ModelCard:
        """Read what `to_json` wrote; fields of a later version are ignored.

        Args:
            path: the file that has the card, for the message.

        Raises:
            RecipeError: not JSON, a missing field, or a value of the wrong kind.
        """
        source = f"{path}: the model card cannot be read"
        return decode(cls, parse_json(text, source, RecipeError), source, RecipeError)


def ignore_index_for(num_classes: int) -> int:
    """Return the label of unlabelled pixels: 255 in uint8 labels, or -1 above 255 classes, where labels are int32."""
    return 255 if num_classes <= 255 else -1


def voc_palette(num_classes: int) -> tuple[tuple[int, int, int], ...]:
    """Return the Pascal VOC colour map: bit 3k, 3k+1, 3k+2 of the label is bit 7-k of red, green, blue."""

    def level(label: int, channel: int) -> int:
        return sum(((label >> (3 * bit + channel)) & 1) << (7 - bit) for bit in range(8))

    return tuple((level(label, 0), level(label, 1), level(label, 2)) for label in range(num_classes))


def numbered_classes(count: int) -> tuple[str, ...]:
    """Return names for unnamed classes: VOC's for 21, else class_0, class_1, ..."""
    return VOC_CLASSES if count == len(VOC_CLASSES) else _numbers(count)


def _numbers(count: int) -> tuple[str, ...]:
    return tuple(f"class_{index}" for index in range(count))
