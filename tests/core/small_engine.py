# SPDX-License-Identifier: GPL-3.0-or-later
"""A small engine that really speaks the protocol; run as a child process by the client's tests.

Methods beside the usual ones, all as `doctor` parameters: ``count`` sends that many progress notes,
``sleep`` waits for a cancellation, ``fail`` refuses, ``garbage`` prints what is no message,
``environment`` answers its own environment, ``die`` leaves at once.
"""

from __future__ import annotations

import os
import sys

from mvsam_engine.protocol import (
    CancelParams,
    ErrorBody,
    HelloResult,
    ProgressNote,
    Request,
    Response,
    decode_request,
    encode,
    to_json,
)


def send(message) -> None:
    sys.stdout.buffer.write(encode(message))
    sys.stdout.buffer.flush()


def answer(request: Request, waiting: set[int]) -> None:
    wish = request.params
    if request.method == "hello":
        protocol = int(os.environ.get("MVSAM_TEST_PROTOCOL", "1"))
        hello = HelloResult("9.9", protocol, "3", sys.executable, os.getpid())
        send(Response(request.id, to_json(hello)))
    elif request.method == "cancel":
        target = CancelParams.from_json(wish).request
        send(Response(request.id))
        if target in waiting:
            waiting.remove(target)
            send(Response(target, error=ErrorBody("cancelled", "Cancelled.")))
    elif "sleep" in wish:
        waiting.add(request.id)
    elif "fail" in wish:
        send(Response(request.id, error=ErrorBody("test.refused", "It is refused.", "Ask less.")))
    elif "die" in wish:
        print("the last thing that I say", file=sys.stderr, flush=True)
        os._exit(int(wish["die"]))
    else:
        for i in range(int(wish.get("count", 0))):
            send(ProgressNote(request.id, "Counting", i + 1, int(wish["count"])))
        if "garbage" in wish:
            print("a library says hello", flush=True)
        seen = dict(os.environ) if "environment" in wish else wish
        send(Response(request.id, {"seen": seen}))


def main() -> None:
    waiting: set[int] = set()
    for line in sys.stdin.buffer:
        request = decode_request(line)
        if request.method == "shutdown":
            send(Response(request.id))
            return
        answer(request, waiting)


if __name__ == "__main__":
    main()
