"""Confusion matrices as heat maps."""

from __future__ import annotations

from xml.etree import ElementTree

from fcn_deploy.page.heat_map import MOST, heat_map, left_out, map_width

SVG = "{http://www.w3.org/2000/svg}"


def cells(drawn: str) -> list[tuple[str, float, str]]:
    """Tooltip, opacity and figure of each cell, row by row."""
    groups = ElementTree.fromstring(drawn).findall(f"{SVG}g")
    found = ((group[0].text, float(group[1].get("fill-opacity")), group.findtext(f"{SVG}text")) for group in groups)
    return [(hint, opacity, figure or "") for hint, opacity, figure in found]


def test_a_row_shares_out_the_pixels_of_a_true_class():
    drawn = heat_map(("road", "a<b"), ((75, 25), (0, 0)), "Confusion")
    assert cells(drawn) == [
        ("road predicted as road: 75 of 100 pixels (75.00%)", 0.87, "75"),
        ("road predicted as a<b: 25 of 100 pixels (25.00%)", 0.5, "25"),
        ("a<b predicted as road: 0 of 0 pixels (0.00%)", 0.0, ""),
        ("a<b predicted as a<b: 0 of 0 pixels (0.00%)", 0.0, ""),
    ]
    about = ElementTree.fromstring(drawn).findtext(f"{SVG}desc")
    assert about == "road: 75.0% recognised, 25.0% taken for a<b; a<b: no true pixels."


def test_of_many_classes_those_with_the_most_wrong_pixels_are_drawn_in_their_order():
    side = MOST + 2
    counts = [[1000 if row == column else 0 for column in range(side)] for row in range(side)]
    for label in range(side - 1):  # all but 5 and the last are confused with their neighbour
        counts[label][label + 1] = 9 if label not in (4, 5, side - 2) else 0
    drawn = heat_map([f"c{label}" for label in range(side)], counts, "Confusion")
    about = ElementTree.fromstring(drawn).findtext(f"{SVG}desc")
    assert len(cells(drawn)) == MOST**2
    assert [name for name in ("c0:", "c5:", f"c{side - 1}:", "c6:") if name in about] == ["c0:", "c6:"]
    assert (left_out(side), left_out(MOST)) == (2, 0)
    assert map_width(side) == map_width(MOST)
