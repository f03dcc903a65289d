# SPDX-License-Identifier: GPL-3.0-or-later
"""The sweep and the plane matching in torch, for machines with a GPU.

The same method as `kernels`, the same hypotheses in the same order and the same random numbers:
only the last digits differ. The tests hold one against the other on the CPU.
"""
