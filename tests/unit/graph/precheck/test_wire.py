"""Fields of protobuf messages, by bytes made by hand from the encoding's description and by protobuf itself."""

from __future__ import annotations

import pytest
from onnx import TensorProto, helper

from fcn_deploy.graph.precheck.wire import (
    BYTES,
    VARINT,
    Field,
    WireError,
    count,
    fields,
    message,
    signed,
    text,
    varints,
)


def listed(data: bytes) -> list[Field]:
    return list(fields(data, 0, len(data)))


def test_the_kinds_of_fields():
    # field 1 varint 150; field 2 "ab"; field 3 fixed32; field 4 fixed64
    data = bytes.fromhex("089601 12026162 1d01020304 210102030405060708")
    assert [(each.number, each.kind, each.value) for each in listed(data)] == [
        (1, VARINT, 150),
        (2, BYTES, 0),
        (3, 5, 0),
        (4, 1, 0),
    ]
    assert text(data, listed(data)[1]) == "ab"


@pytest.mark.parametrize("hexadecimal", [
    "08", "08ff", "0a05 6162", "0b", "00", "0a ffffffffffffffffff01", "80" * 11, "1d0102", "2101",
])  # fmt: skip
def test_what_is_no_message_is_refused(hexadecimal):
    with pytest.raises(WireError):
        listed(bytes.fromhex(hexadecimal))


def test_numbers_of_protobuf_itself():
    tensor = helper.make_tensor("t", TensorProto.INT64, [2, 3], [0, 1, -1, 127, 128, 2**62])
    data = tensor.SerializeToString()
    found = {each.number: each for each in listed(data)}
    assert [signed(each.value) for each in listed(data) if each.number == 1] == [2, 3]
    assert varints(data, found[7]) == [0, 1, -1, 127, 128, 2**62]
    assert count(data, found[7], 0) == 6
    assert text(data, found[8]) == "t"


def test_floats_are_counted_by_their_width():
    data = helper.make_tensor("t", TensorProto.FLOAT, [5], [1.0] * 5).SerializeToString()
    assert count(data, next(each for each in listed(data) if each.number == 4), 4) == 5


def test_a_number_is_no_message_and_no_text():
    field = listed(b"\x08\x01")[0]
    with pytest.raises(WireError, match="field 1 of wire type 0, expected 2"):
        message(b"\x08\x01", field)
    with pytest.raises(WireError):
        text(b"\x08\x01", field)


def test_text_that_is_not_utf_8_is_refused():
    data = b"\x0a\x02\xff\xfe"
    with pytest.raises(WireError, match="not UTF-8"):
        text(data, listed(data)[0])
