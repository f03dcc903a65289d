# SPDX-License-Identifier: GPL-3.0-or-later
"""One JSON-RPC 2.0 message a line (https://www.jsonrpc.org/specification), UTF-8."""

from __future__ import annotations

import json
from typing import Any

from mvsam_engine.errors import ProtocolError
from mvsam_engine.fields import Fields, JsonObject
from mvsam_engine.protocol.messages import (
    ErrorBody,
    Note,
    ProgressNote,
    Request,
    Response,
    ViewAnsweredNote,
    WarningNote,
    to_json,
)

# A line holds names and prompts, never arrays; longer ones are a mistake or an attack.
MAX_LINE_BYTES = 8 * 1024 * 1024

# JSON-RPC's numbers; people and programs read `data.code`.
_SERVER_ERROR = -32000

_NOTES: dict[str, type[Note]] = {
    note.METHOD: note for note in (ProgressNote, WarningNote, ViewAnsweredNote)
}


def encode(message: Request | Response | Note) -> bytes:
    """The line, newline included, that carries `message`."""
    data: JsonObject = {"jsonrpc": "2.0"}
    if isinstance(message, Request):
        data |= {"id": message.id, "method": message.method, "params": message.params}
    elif isinstance(message, Response) and message.error is None:
        data |= {"id": message.id, "result": message.result}
    elif isinstance(message, Response):
        body = to_json(message.error)
        data |= {
            "id": message.id,
            "error": {"code": _SERVER_ERROR, "message": body["message"], "data": body},
        }
    else:
        data |= {"method": message.METHOD, "params": to_json(message)}
    return (json.dumps(data, separators=(",", ":"), allow_nan=False) + "\n").encode()


def decode_request(line: bytes) -> Request:
    """Read what a client sent.

    Raises:
        ProtocolError: not a JSON-RPC 2.0 request.
    """
    fields, data = _read(line)
    return Request(
        id=fields.integer("id"),
        method=fields.text("method"),
        params=fields.mapping("params", {}) if "params" in data else {},
    )


def decode_answer(line: bytes) -> Response | Note:
    """Read what an engine sent.

    Raises:
        ProtocolError: not a JSON-RPC 2.0 response or a known notification.
    """
    fields, data = _read(line)
    if "method" in data:
        kind = _NOTES.get(fields.text("method"))
        if kind is None:
            raise ProtocolError(
                "protocol.method", f"The engine sent the unknown message {data['method']!r}."
            )
        return kind.from_json(fields.mapping("params"))
    if "error" in data:
        error = Fields(data["error"], "The engine's error", ProtocolError, "protocol.field")
        return Response(fields.integer("id"), error=ErrorBody.from_json(error.mapping("data")))
    return Response(fields.integer("id"), result=fields.mapping("result"))


def _read(line: bytes) -> tuple[Fields, dict[str, Any]]:
    if len(line) > MAX_LINE_BYTES:
        raise ProtocolError("protocol.size", f"A message of {len(line)} bytes is too long.")
    try:
        data: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        text = line[:80].decode("utf-8", "replace")
        raise ProtocolError("protocol.json", f"This is not a message: {text!r}") from error
    fields = Fields(data, "The message", ProtocolError, "protocol.field")
    if fields.text("jsonrpc", "") != "2.0":
        raise ProtocolError("protocol.version", "The message is not JSON-RPC 2.0.")
    return fields, data
