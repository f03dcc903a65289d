# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of the MV-SAM network: made-up scenes and what is learned from them."""
