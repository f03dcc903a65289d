# SPDX-License-Identifier: GPL-3.0-or-later
"""A real engine process and the simplest client for it."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading

from mvsam_engine import protocol as p


class Engine:
    """`mvsam serve` as the add-on starts it."""

    def __init__(self, log):
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-u", "-m", "mvsam_engine", "serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
        self.lines = queue.Queue()
        self.notes = []
        self._next = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def send(self, method, params=None):
        self._next += 1
        data = p.to_json(params) if params is not None else {}
        self.write(p.encode(p.Request(self._next, method, data)))
        return self._next

    def write(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def next(self, timeout=60):
        line = self.lines.get(timeout=timeout)
        assert line is not None, "the engine ended"
        return p.decode_answer(line)

    def wait(self, request, timeout=300):
        """The response to `request`; notes that come before it are kept in `notes`."""
        while True:
            message = self.next(timeout)
            if isinstance(message, p.Response) and message.id == request:
                return message
            self.notes.append(message)

    def ask(self, method, params=None, timeout=300):
        return self.wait(self.send(method, params), timeout)

    def close(self):
        self.process.stdin.close()
        try:
            return self.process.wait(20)
        finally:
            self.process.kill()
