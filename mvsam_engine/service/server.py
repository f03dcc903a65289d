# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests are read at once and worked on one after the other; cancel overtakes the queue."""

from __future__ import annotations

import logging
import os
import platform
import queue
import sys
import threading
from typing import BinaryIO

import mvsam_engine
from mvsam_engine.errors import Cancelled, MvsamError, ProtocolError
from mvsam_engine.fields import JsonObject
from mvsam_engine.protocol import (
    PROTOCOL_VERSION,
    CancelParams,
    ErrorBody,
    HelloParams,
    HelloResult,
    Request,
    Response,
    SegmentParams,
    decode_request,
    to_json,
)
from mvsam_engine.service.channel import Channel, RequestProgress, take_stdout
from mvsam_engine.service.worker import Worker

log = logging.getLogger(__name__)

# How long a cancelled job may take to notice before the process leaves anyway.
_GRACE_SECONDS = 5.0


class Server:
    """Serves one client until its end of file.

    Args:
        requests: binary stream of request lines.
        channel: where answers go.
        worker: does the jobs.
    """

    def __init__(self, requests: BinaryIO, channel: Channel, worker: Worker) -> None:
        self._requests = requests
        self._channel = channel
        self._worker = worker
        self._queue: queue.Queue[tuple[Request, RequestProgress] | None] = queue.Queue()
        self._open: dict[int, tuple[Request, RequestProgress]] = {}
        self._open_lock = threading.Lock()

    def run(self) -> None:
        """Read requests until end of file or `shutdown`, then wait briefly for the worker."""
        worker = threading.Thread(target=self._work, name="jobs", daemon=True)
        worker.start()
        for line in self._requests:
            if line.strip() and not self._receive(line):
                break
        with self._open_lock:
            for _, progress in self._open.values():
                progress.cancel()
        self._queue.put(None)
        worker.join(_GRACE_SECONDS)

    def _receive(self, line: bytes) -> bool:
        """Answer one line or queue it; False when the client wants the engine to end."""
        try:
            request = decode_request(line)
        except ProtocolError as error:
            log.warning("refused a line: %s", error)
            # Without a readable id the answer can name none; 0 is never used by clients.
            self._fail(0, error)
            return True
        try:
            if request.method == "shutdown":
                self._channel.send(Response(request.id))
                return False
            if request.method == HelloParams.METHOD:
                self._channel.send(Response(request.id, _hello(request)))
            elif request.method == CancelParams.METHOD:
                self._cancel(CancelParams.from_json(request.params).request)
                self._channel.send(Response(request.id))
            elif request.method in Worker.METHODS:
                self._enqueue(request)
            else:
                raise ProtocolError(
                    "protocol.method",
                    f"The engine knows no method {request.method!r}.",
                    "Add-on and engine are of different versions: install them together.",
                )
        except MvsamError as error:
            self._fail(request.id, error)
        return True

    def _enqueue(self, request: Request) -> None:
        progress = RequestProgress(request.id, self._channel)
        with self._open_lock:
            if request.id in self._open:
                raise ProtocolError("protocol.id", f"Request {request.id} is already under way.")
            self._supersede(request)
            self._open[request.id] = (request, progress)
        self._queue.put((request, progress))

    def _supersede(self, request: Request) -> None:
        """Cancel older questions about the same object: only the newest click matters."""
        if request.method != SegmentParams.METHOD:
            return
        new = SegmentParams.from_json(request.params)
        for old, progress in self._open.values():
            if old.method != SegmentParams.METHOD:
                continue
            params = SegmentParams.from_json(old.params)
            same_object = params.object.get("id") == new.object.get("id")
            if same_object and params.capture == new.capture:
                progress.cancel()

    def _cancel(self, request_id: int) -> None:
        with self._open_lock:
            if request_id in self._open:
                self._open[request_id][1].cancel()

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            request, progress = job
            try:
                progress.check()
                result = self._worker.do(request, progress, self._channel)
                self._close(request.id)
                self._channel.send(Response(request.id, result))
            except Cancelled:
                self._close(request.id)
                body = ErrorBody("cancelled", "Cancelled; nothing was changed.")
                self._channel.send(Response(request.id, error=body))
            except MvsamError as error:
                log.info("request %d failed: %s", request.id, error)
                self._close(request.id)
                self._fail(request.id, error)
            except Exception as error:
                # A fault of ours must not end the service: the client keeps its warm engine.
                log.exception("request %d failed unexpectedly", request.id)
                self._close(request.id)
                self._fail(request.id, _unexpected(error))

    def _close(self, request_id: int) -> None:
        with self._open_lock:
            self._open.pop(request_id, None)

    def _fail(self, request_id: int, error: MvsamError) -> None:
        body = ErrorBody(error.code, error.message, error.remedy)
        self._channel.send(Response(request_id, error=body))


def _unexpected(error: Exception) -> MvsamError:
    if isinstance(error, MemoryError):
        return MvsamError(
            "memory.full",
            "There is not enough memory for this.",
            "Close other programs, or choose a smaller size.",
        )
    return MvsamError(
        "engine.fault",
        f"The engine failed unexpectedly ({type(error).__name__}: {error}).",
        "The engine's log has the details; please report it.",
    )


def _hello(request: Request) -> JsonObject:
    params = HelloParams.from_json(request.params)
    if params.protocol != PROTOCOL_VERSION:
        raise ProtocolError(
            "protocol.mismatch",
            f"The add-on speaks protocol {params.protocol}, this engine "
            f"({mvsam_engine.__version__}) speaks {PROTOCOL_VERSION}.",
            "Install the engine that came with this add-on.",
        )
    return to_json(
        HelloResult(
            engine=mvsam_engine.__version__,
            protocol=PROTOCOL_VERSION,
            python=platform.python_version(),
            executable=sys.executable,
            pid=os.getpid(),
        )
    )


def serve() -> None:
    """Serve stdin and stdout; returns never, ends the process.

    The process is left with `os._exit`, since a native library may still be at work in the job
    thread; nothing is lost, because everything in the capture is written atomically.
    """
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    channel = Channel(take_stdout())
    log.info("engine %s, Python %s", mvsam_engine.__version__, platform.python_version())
    Server(sys.stdin.buffer, channel, Worker()).run()
    sys.stderr.flush()
    os._exit(0)
