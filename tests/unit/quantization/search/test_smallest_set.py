"""Which sets of layers are tried, and which is taken."""

from __future__ import annotations

from fcn_deploy.quantization.search.smallest_set import smallest_set


class _Needs:
    """Meets if every layer of `needed` is kept; remembers what was tried."""

    def __init__(self, needed: str) -> None:
        self.needed, self.tried = set(needed), []

    def __call__(self, layers: tuple[str, ...]) -> bool:
        self.tried.append("".join(layers))
        return self.needed <= set(layers)


def test_the_most_sensitive_layer_alone_is_tried_first_and_may_do():
    meets = _Needs("a")
    assert smallest_set("abcdefgh", meets) == ("a",)
    assert meets.tried == ["a"]


def test_beginnings_double_then_bisect_then_lose_what_is_not_needed():
    meets = _Needs("be")
    assert smallest_set("abcdefgh", meets) == ("b", "e")
    # 1, 2, 4 fail, 7 (all but one) meets; between them 5; then without e, d, c, b, a in turn.
    assert meets.tried == ["a", "ab", "abcd", "abcdefg", "abcde", "abcd", "abce", "abe", "ae", "be"]


def test_never_are_all_layers_kept():
    meets = _Needs("abcd")
    assert smallest_set("abcd", meets) is None
    assert meets.tried == ["a", "ab", "abc"]


def test_one_layer_alone_leaves_nothing_to_choose():
    assert smallest_set("a", _Needs("")) is None
    assert smallest_set("", _Needs("")) is None


def test_every_answer_was_tried_and_met_whatever_meets_means():
    for code in range(2**8):
        tried = {}

        def meets(layers, code=code, tried=tried):
            # An arbitrary rule, neither growing nor shrinking with the set.
            tried[layers] = bool(code >> (sum(ord(name) for name in layers) * 5 % 8) & 1)
            return tried[layers]

        found = smallest_set("abcdef", meets)
        assert found is None or tried[found]
        assert found is not None or not any(tried.values())
