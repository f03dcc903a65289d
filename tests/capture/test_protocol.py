# SPDX-License-Identifier: GPL-3.0-or-later
"""Every message survives its line; every bad line is refused in words."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvsam_engine import protocol as p
from mvsam_engine.errors import ProtocolError
from mvsam_engine.protocol.lines import MAX_LINE_BYTES

REQUESTS = [
    p.HelloParams("mvsam-blender 0.1.0", 1),
    p.ReconstructParams("/a b/ü", ("/p/1.jpg", "/p"), "classical", max_size=640, device="cpu"),
    p.ReconstructParams("/c", masks="/m ü", masks_invert=True, every=12, recursive=True),
    p.ForecastParams(
        "/c ü", ("/p",), "fine", max_size=900, recursive=True, cameras="/k", mesh="/m"
    ),
    p.PrepareParams("/c"),
    p.SegmentParams("/c", {"id": "cup", "prompts": [{"kind": "point"}]}, "lift"),
    p.DeleteParams("/c", "cup"),
    p.CancelParams(7),
]
RESULTS = [
    p.ForecastResult(25, 180.5, 900.0, 700.0, False, "draft", "25 photos."),
    p.HelloResult("0.1.0", 1, "3.11.7", "/usr/bin/python", 99),
    p.ReconstructResult(("a", "b"), (("c", "Too dark."),), 12.5),
    p.SegmentResult("cup", 3, {"id": "cup"}, 0.25),
]
NOTES = [
    p.ProgressNote(1, "Depth", 3, 25),
    p.WarningNote(1, "photo.duplicate", "Twice.", "Remove one."),
    p.ViewAnsweredNote(1, "cup", 3, "IMG\n1"),
]


@pytest.mark.parametrize("params", REQUESTS, ids=lambda m: m.METHOD)
def test_requests_round_trip(params):
    line = p.encode(p.Request(5, params.METHOD, p.to_json(params)))
    assert line.count(b"\n") == 1
    request = p.decode_request(line)
    assert (request.id, request.method) == (5, params.METHOD)
    assert type(params).from_json(request.params) == params


@pytest.mark.parametrize("result", RESULTS, ids=lambda m: type(m).__name__)
def test_results_round_trip(result):
    response = p.decode_answer(p.encode(p.Response(5, p.to_json(result))))
    assert isinstance(response, p.Response)
    assert response.error is None
    assert type(result).from_json(response.result) == result


@pytest.mark.parametrize("note", NOTES, ids=lambda m: m.METHOD)
def test_notes_round_trip(note):
    line = p.encode(note)
    assert line.count(b"\n") == 1
    assert p.decode_answer(line) == note


def test_errors_round_trip():
    error = p.ErrorBody("disk.full", "No space.", "Free some.")
    response = p.decode_answer(p.encode(p.Response(5, error=error)))
    assert response == p.Response(5, error=error)
    assert json.loads(p.encode(p.Response(5, error=error)))["error"]["message"] == "No space."


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"hello",
        b"[]",
        b"{}",
        b'{"jsonrpc":"1.0","id":1,"method":"hello"}',
        b'{"jsonrpc":"2.0","method":"hello"}',
        b'{"jsonrpc":"2.0","id":-1,"method":"hello"}',
        b'{"jsonrpc":"2.0","id":true,"method":"hello"}',
        b'{"jsonrpc":"2.0","id":1,"method":7}',
        b'{"jsonrpc":"2.0","id":1,"method":"hello","params":[1]}',
        b"[" * 100_000,
        b"\xff\xfe",
        b" " * (MAX_LINE_BYTES + 1),
    ],
)
def test_bad_requests_are_refused(line):
    with pytest.raises(ProtocolError):
        p.decode_request(line)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_in_words(line):
    for decode in (p.decode_request, p.decode_answer):
        try:
            decode(line)
        except ProtocolError as error:
            assert error.message


@pytest.mark.parametrize("kind", [type(m) for m in [*REQUESTS, *RESULTS, *NOTES]])
@given(data=st.dictionaries(st.sampled_from(["capture", "object", "id", "views"]), st.integers()))
def test_wrong_fields_are_refused(kind, data):
    with pytest.raises(ProtocolError):
        kind.from_json(data)
