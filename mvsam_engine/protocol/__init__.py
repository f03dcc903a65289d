# SPDX-License-Identifier: GPL-3.0-or-later
"""Typed messages between add-on and engine (standard library only)."""

from mvsam_engine.protocol.lines import decode_answer, decode_request, encode
from mvsam_engine.protocol.messages import (
    PROTOCOL_VERSION,
    CancelParams,
    DeleteParams,
    ErrorBody,
    HelloParams,
    HelloResult,
    Note,
    ProgressNote,
    ReconstructParams,
    ReconstructResult,
    Request,
    RequestParams,
    Response,
    SegmentParams,
    SegmentResult,
    ViewAnsweredNote,
    WarningNote,
    to_json,
)

__all__ = [
    "PROTOCOL_VERSION",
    "CancelParams",
    "DeleteParams",
    "ErrorBody",
    "HelloParams",
    "HelloResult",
    "Note",
    "ProgressNote",
    "ReconstructParams",
    "ReconstructResult",
    "Request",
    "RequestParams",
    "Response",
    "SegmentParams",
    "SegmentResult",
    "ViewAnsweredNote",
    "WarningNote",
    "decode_answer",
    "decode_request",
    "encode",
    "to_json",
]
