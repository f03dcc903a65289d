# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back to the client: whole lines from any thread, progress not too often."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import BinaryIO

from mvsam_engine.progress import Progress
from mvsam_engine.protocol import Note, ProgressNote, Response, WarningNote, encode

# People do not see more, and a reader on a busy machine need not parse more.
_PROGRESS_INTERVAL = 0.05


class Channel:
    """Writes messages as whole lines; used by several threads."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, message: Response | Note) -> None:
        """Write one message; a client that is gone is no error, the loop ends by itself."""
        line = encode(message)
        with self._lock:
            try:
                self._stream.write(line)
                self._stream.flush()
            except (BrokenPipeError, ValueError):
                return


class RequestProgress(Progress):
    """Progress of one request, sent to the client."""

    def __init__(self, request: int, channel: Channel) -> None:
        super().__init__()
        self._request = request
        self._channel = channel
        self._sent_at = 0.0

    def on_change(self) -> None:
        """Send the counts, at the start and end of a stage always, else now and then."""
        now = time.monotonic()
        edge = self.done in (0, self.total)
        if edge or now - self._sent_at >= _PROGRESS_INTERVAL:
            self._sent_at = now
            note = ProgressNote(self._request, self.stage_name, self.done, self.total)
            self._channel.send(note)

    def on_warning(self, code: str, message: str, remedy: str) -> None:
        """Send the warning."""
        self._channel.send(WarningNote(self._request, code, message, remedy))


def take_stdout() -> BinaryIO:
    """A private stream to the real stdout; everything else that prints goes to stderr.

    Libraries that print (in C or in Python) would otherwise break the line protocol.
    """
    private = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return private
