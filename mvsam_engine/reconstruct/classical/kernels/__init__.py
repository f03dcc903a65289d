# SPDX-License-Identifier: GPL-3.0-or-later
"""The inner loops, compiled by numba when their modules are imported (cached between runs).

Only modules called kernels compile with numba (`mvsam_engine.jit`). Every routine has a plain, slow
reference in the tests.
"""
