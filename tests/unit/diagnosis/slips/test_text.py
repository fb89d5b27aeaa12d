"""The report as text: the answer first, and 80 columns whatever the names."""

from __future__ import annotations

from rich.console import Console

from fcn_deploy.diagnosis.slips.report import Explanation, SlipReport
from fcn_deploy.diagnosis.slips.text import render_slips


def test_the_report_fits_80_columns_and_starts_with_the_answer():
    name = "letterbox not cut off (longer side, grey) and mean of Caffe, no std (in the range of an INT8 input)"
    fix = "give the network RGB (OpenCV decodes to BGR: cv2.cvtColor(image, cv2.COLOR_BGR2RGB))"
    tried = (Explanation(name, (fix,), 0.99), Explanation("JPEG of quality 30 in between", ("",), 0.5))
    found = SlipReport("a.onnx", "a/b" * 20, 6, "explained", 0.5, 0.3, tried, (64, 64), (360, 480), 300, (name,))
    console = Console(width=200)
    with console.capture() as capture:
        console.print(render_slips(found))
    lines = capture.get().splitlines()
    assert lines[0].startswith("explained by: letterbox not cut off (longer side, grey) and mean of Caffe")
    assert max(len(line.rstrip()) for line in lines) <= 80
