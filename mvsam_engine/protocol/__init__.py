# SPDX-License-Identifier: GPL-3.0-or-later
"""Typed messages between add-on and engine (standard library only)."""

from mvsam_engine.protocol.forecasting import ForecastParams, ForecastResult
from mvsam_engine.protocol.lines import decode_answer, decode_request, encode
from mvsam_engine.protocol.messages import (
    PROTOCOL_VERSION,
    CancelParams,
    DeleteParams,
    ErrorBody,
    HelloParams,
    HelloResult,
    Note,
    PrepareParams,
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
from mvsam_engine.protocol.placing import (
    FoundLength,
    KnownBaseline,
    KnownDistance,
    PlaceParams,
    PlaceResult,
)
from mvsam_engine.protocol.previewing import PreviewParams, PreviewResult

__all__ = [
    "PROTOCOL_VERSION",
    "CancelParams",
    "DeleteParams",
    "ErrorBody",
    "ForecastParams",
    "ForecastResult",
    "FoundLength",
    "HelloParams",
    "HelloResult",
    "KnownBaseline",
    "KnownDistance",
    "Note",
    "PlaceParams",
    "PlaceResult",
    "PrepareParams",
    "PreviewParams",
    "PreviewResult",
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
