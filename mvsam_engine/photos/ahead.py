# SPDX-License-Identifier: GPL-3.0-or-later
"""Work on many files by several threads, with results in order and bounded memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ahead(work: Callable[[T], R], items: Sequence[T]) -> Iterator[tuple[T, Callable[[], R]]]:
    """Run `work` on items in threads, a few ahead of the reader.

    Pays where `work` frees the interpreter, as hashing and image codecs do. Only about as many
    results wait as there are threads, so memory does not grow with the items.

    Yields:
        Each item, in order, with a function that gives its result or raises what `work` raised.
    """
    threads = max(1, min(8, os.cpu_count() or 1))
    waiting: deque[tuple[T, Future[R]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append((item, pool.submit(work, item)))
                if len(waiting) > threads:
                    first, future = waiting.popleft()
                    yield first, future.result
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result
        finally:
            for _, future in waiting:  # the reader gave up
                future.cancel()
