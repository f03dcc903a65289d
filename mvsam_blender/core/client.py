# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine as the add-on sees it: requests out, typed events in, and nothing ever blocks.

Only `EngineClient.wait` blocks; it is for background mode and uses the same path.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mvsam_engine import __version__
from mvsam_engine.errors import Cancelled, MvsamError
from mvsam_engine.fields import JsonObject
from mvsam_engine.protocol import (
    PROTOCOL_VERSION,
    CancelParams,
    ErrorBody,
    HelloParams,
    HelloResult,
    Request,
    RequestParams,
    Response,
    WarningNote,
    decode_answer,
    encode,
    to_json,
)

from .endings import memory_kills, why_ended
from .events import CANCELLED, EngineDied, EngineError, Event, Failed, Finished
from .process import EngineProcess

_POLL_SECONDS = 0.05
_STOP_PATIENCE = 3.0
# A process that closed its output is at its end.
_DEATH_PATIENCE = 0.5
# An engine on a slow disk takes a few seconds to say hello; a program that is none never does.
_HELLO_PATIENCE = 40.0
_TRIM_INTERVAL = 20.0


class EngineClient:
    """A conversation with one engine, which is started when it is first needed.

    Args:
        command: program and arguments that speak the protocol on their standard streams.
        log: file for the engine's stderr.
        environment: variables for it on top of our own.
    """

    def __init__(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.command = tuple(command)
        self.log = log
        self.environment = dict(environment or {})
        self.hello: HelloResult | None = None
        self._process: EngineProcess | None = None
        self._open: dict[int, str] = {}
        self._internal: set[int] = set()
        self._next_id = 1
        self._started = 0.0
        self._told_silent = False
        self._trimmed = 0.0
        self._memory_kills: int | None = None

    # --- process -------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether an engine is there (it may have died since the last `drain`)."""
        return self._process is not None

    @property
    def pid(self) -> int | None:
        """Process id of the engine, None when none runs."""
        return self._process.pid if self._process else None

    @property
    def open_requests(self) -> tuple[int, ...]:
        """Ids of the requests that have no end yet, oldest first."""
        return tuple(i for i in self._open if i not in self._internal)

    def start(self) -> None:
        """Start the engine and greet it; does nothing when it runs.

        Raises:
            EngineError: it cannot be started.
        """
        if self._process is not None:
            return
        self._process = EngineProcess(self.command, self.log, self.environment)
        self._started, self._told_silent = time.monotonic(), False
        self._memory_kills = memory_kills()
        self.hello = None
        greeting = HelloParams(f"mvsam-blender {__version__}", PROTOCOL_VERSION)
        self._internal.add(self._send(HelloParams.METHOD, to_json(greeting)))

    def stop(self) -> None:
        """Ask the engine to end; kill it when it does not within a few seconds."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.send(encode(Request(self._take_id(), "shutdown")))
        process.close(_STOP_PATIENCE)
        self._forget()

    def kill(self) -> None:
        """End the engine at once; `drain` then tells its death as if it had come by itself."""
        if self._process is not None:
            self._process.kill()

    # --- requests ------------------------------------------------------------------------------

    def request(self, params: RequestParams) -> int:
        """Send a request, starting the engine when needed; its id.

        Raises:
            EngineError: the engine cannot be started.
        """
        return self.ask(params.METHOD, to_json(params))

    def ask(self, method: str, params: JsonObject | None = None) -> int:
        """Send a request that has no typed parameters, e.g. ``doctor``; its id."""
        self.start()
        return self._send(method, params or {})

    def cancel(self, request: int) -> None:
        """Ask the engine to give up `request`, which then ends as `Failed` with `CANCELLED`."""
        if self._process is not None and request in self._open:
            params = to_json(CancelParams(request))
            self._internal.add(self._send(CancelParams.METHOD, params))

    def wait(
        self,
        request: int,
        on_event: Callable[[Event], None] | None = None,
        timeout: float | None = None,
    ) -> JsonObject:
        """Block until `request` has ended; its result.

        Args:
            request: its id.
            on_event: gets every event that comes meanwhile, the end of `request` included.
            timeout: seconds to wait at most, None for as long as it takes.

        Raises:
            Cancelled: it was cancelled.
            EngineError: it failed, the engine died, or the time is over.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            found: Finished | Failed | None = None
            for event in self.drain(_POLL_SECONDS):
                if on_event is not None:
                    on_event(event)
                if isinstance(event, Finished | Failed) and event.request == request:
                    found = event
            if isinstance(found, Finished):
                return found.result
            if found is not None:
                raise _as_exception(found.error)
            if request not in self._open:
                raise EngineError("engine.request", f"Request {request} is not under way.")
            if deadline is not None and time.monotonic() > deadline:
                raise EngineError(
                    "engine.timeout",
                    f"The engine did not answer within {timeout:g} seconds.",
                    "Look into its log, or stop it and try again.",
                )

    def drain(self, patience: float = 0.0) -> list[Event]:
        """Everything that came since the last call.

        Args:
            patience: seconds to wait for a first line; 0 never waits.
        """
        events: list[Event] = []
        while self._process is not None:
            try:
                line = self._process.receive(0.0 if events else patience)
            except queue.Empty:
                break
            if line is None:
                events += self._mourn(self._process)
            else:
                events += self._event_of(line)
        if self._process is not None:
            events += self._look_after(self._process)
        return events

    # --- inside --------------------------------------------------------------------------------

    def _take_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1

    def _send(self, method: str, params: JsonObject) -> int:
        request = Request(self._take_id(), method, params)
        self._open[request.id] = method
        if self._process is not None:
            self._process.send(encode(request))
        return request.id

    def _look_after(self, process: EngineProcess) -> list[Event]:
        """Keep the log small, and say when an engine does not answer at all."""
        now = time.monotonic()
        if now - self._trimmed > _TRIM_INTERVAL:
            self._trimmed = now
            process.log.trim()
        if self.hello is not None or self._told_silent or now - self._started < _HELLO_PATIENCE:
            return []
        self._told_silent = True
        note = WarningNote(
            0,
            "engine.silent",
            f"The engine has not answered for {_HELLO_PATIENCE:.0f} seconds.",
            "Check its Python or command in the preferences; a remote one must not ask for a "
            "password.",
        )
        return [note]

    def _event_of(self, line: bytes) -> list[Event]:
        try:
            message = decode_answer(line)
        except MvsamError as error:
            return [WarningNote(0, error.code, error.message, error.remedy)]
        if isinstance(message, Response):
            return self._end_of(message)
        return [message]

    def _end_of(self, response: Response) -> list[Event]:
        method = self._open.pop(response.id, "")
        internal = response.id in self._internal
        self._internal.discard(response.id)
        if response.error is not None:
            # A refused greeting or cancellation has no owner who would hear of its end.
            error = response.error
            if internal:
                return [WarningNote(0, error.code, error.message, error.remedy)]
            return [Failed(response.id, method, error)]
        if internal and method == HelloParams.METHOD:
            return self._greeted(response.result)
        return [] if internal else [Finished(response.id, method, response.result)]

    def _greeted(self, result: JsonObject) -> list[Event]:
        try:
            self.hello = HelloResult.from_json(result)
        except MvsamError as error:
            return [WarningNote(0, error.code, error.message, error.remedy)]
        if self.hello.protocol == PROTOCOL_VERSION:
            return []
        note = WarningNote(
            0,
            "engine.protocol",
            f"The engine is version {self.hello.engine}, which does not match this add-on "
            f"({__version__}).",
            f"Install mvsam-engine {__version__} into the engine's environment.",
        )
        return [note]

    def _mourn(self, process: EngineProcess) -> list[Event]:
        """Events for an engine whose output ended: every open request fails, then its death."""
        self._process = None
        code = process.exit_code(_DEATH_PATIENCE)
        process.close(0.0)
        lines = process.log.last_lines()
        kills = (self._memory_kills, memory_kills())
        error = why_ended(code, self.hello is not None, lines, kills)
        open_requests = self.open_requests
        ends: list[Event] = [Failed(i, self._open[i], error) for i in open_requests]
        self._forget()
        return [*ends, EngineDied(error, open_requests, lines, process.log.path)]

    def _forget(self) -> None:
        self._open.clear()
        self._internal.clear()


def _as_exception(error: ErrorBody) -> Exception:
    if error.code == CANCELLED:
        return Cancelled()
    return EngineError(error.code, error.message, error.remedy)
