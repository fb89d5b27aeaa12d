"""The curves of a run as SVG."""

from __future__ import annotations

from xml.etree import ElementTree

from fcn_deploy.training.curves import class_plot, curve_plots
from fcn_deploy.training.state import EpochRecord

HISTORY = [EpochRecord(1, 5, 1.0, 0.01, None, None, None, 3.0), EpochRecord(2, 10, 0.5, 0.005, 0.625, 0.875, None, 6.0)]


def parsed(plot):
    return ElementTree.fromstring(str(plot))


def test_loss_and_scores_are_drawn_by_epoch():
    loss, scores = curve_plots(HISTORY)
    assert "loss: 0.5 at epoch 2." in str(loss)
    assert "mIoU: 62.5 at epoch 2; pixel accuracy: 87.5 at epoch 2." in str(scores)
    assert len(parsed(loss).findall(".//{*}path")) == 3  # the line and two marks
    assert len(parsed(scores).findall(".//{*}path")) == 4  # two lines of one epoch, with their marks


def test_a_run_without_validation_has_the_loss_alone_and_one_epoch_is_enough():
    assert len(curve_plots(HISTORY[:1])) == 1


def test_many_epochs_are_a_line_with_a_mark_at_its_end():
    many = [EpochRecord(epoch, epoch, 1 / epoch, 0.01, None, None, None, 1.0) for epoch in range(1, 101)]
    assert len(parsed(curve_plots(many)[0]).findall(".//{*}path")) == 2


def test_each_class_has_a_bar_as_long_as_its_iou():
    plot = parsed(class_plot(("sky", "<car>", "pole"), (0.5, 1.0, None)))
    half, whole = (float(bar.attrib["width"]) for bar in plot.findall(".//{*}rect"))
    assert abs(whole - 2 * half) < 0.02
    assert plot.findtext("{*}desc") == "sky 50.0; <car> 100.0; pole -."
