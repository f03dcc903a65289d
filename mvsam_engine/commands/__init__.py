# SPDX-License-Identifier: GPL-3.0-or-later
"""What the commands of `mvsam` share: terminal, prompts on the command line, tables."""
