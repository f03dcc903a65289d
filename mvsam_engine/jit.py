# SPDX-License-Identifier: GPL-3.0-or-later
"""How inner loops are compiled; only modules called kernels use it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba


def kernel(signature: str, parallel: bool = True, exact: bool = False) -> Callable[..., Any]:
    """Compile a function for one signature, at import, for all cores.

    The machine code is cached beside the module, or in the person's cache folder where the
    module's folder cannot be written to; where neither can, it is compiled on every start.

    Args:
        signature: numba's notation, e.g. ``void(float32[:,::1])``.
        parallel: whether ``prange`` loops are shared among the cores.
        exact: whether floating point must keep the order of operations and undefined values.
    """

    def compile_function(function: Callable[..., Any]) -> Any:
        options: dict[str, Any] = {"parallel": parallel, "fastmath": not exact}
        # Division by zero gives infinity as in numpy; a test per division would cost vector code.
        options["error_model"] = "numpy"
        options["forceinline"] = not parallel
        try:
            return numba.njit(signature, cache=True, **options)(function)
        except RuntimeError as error:
            if "no locator available" not in str(error):
                raise
            return numba.njit(signature, **options)(function)

    return compile_function
