"""Differential fuzzer: the installed decoder against the one on the protobuf library."""

from __future__ import annotations

import sys

from spans.fuzz.command import main

sys.exit(main())
