"""The classes and label values of Cityscapes, by the names of its label files.

From the table of labels of cityscapesScripts: 19 classes are trained; the other ids are unlabelled.
"""

from __future__ import annotations

from fcn_deploy.data.classes import ClassList

IMAGE_SUFFIX = "_leftImg8bit"
LABEL_SUFFIXES = tuple(f"_{kind}_{ids}" for kind in ("gtFine", "gtCoarse") for ids in ("labelTrainIds", "labelIds"))
CLASSES = ClassList.of(
    [
        "road 128 64 128", "sidewalk 244 35 232", "building 70 70 70", "wall 102 102 156", "fence 190 153 153",
        "pole 153 153 153", "traffic light 250 170 30", "traffic sign 220 220 0", "vegetation 107 142 35",
        "terrain 152 251 152", "sky 70 130 180", "person 220 20 60", "rider 255 0 0", "car 0 0 142", "truck 0 0 70",
        "bus 0 60 100", "train 0 80 100", "motorcycle 0 0 230", "bicycle 119 11 32", "ignore 0 0 0",
    ]
)  # fmt: skip
IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)  # of `CLASSES`, in labelIds files
VOID_IDS = tuple(sorted({*range(34), 255} - set(IDS)))  # 255: the licence plate's -1, as 8-bit files have it
