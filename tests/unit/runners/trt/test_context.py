"""Which profile an image is run in."""

from __future__ import annotations

from fcn_deploy.runners.trt.context import choose_profile
from tests.support.tensorrt_cases import PROFILES


def test_of_several_profiles_the_one_tuned_for_the_nearest_size_is_taken():
    assert choose_profile(PROFILES, (1, 33, 47)) == 0
    # 2x40x60 = 4800 pixels: three times the first profile's 1551, a third of the second's 13845 (log 1.13 < 1.06 does
    # not hold), so the second.
    assert choose_profile(PROFILES, (2, 40, 60)) == 1
    # 1x70x90 = 6300: 2.2 times below the second's, 2.5 times below the third's 15857.
    assert choose_profile(PROFILES, (1, 70, 90)) == 1
    assert choose_profile(PROFILES, (1, 131, 211)) == 2
