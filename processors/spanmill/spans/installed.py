"""Which decoder runs here."""

from __future__ import annotations

from collections.abc import Sequence

from spanmill.spans.decoder import Decoder
from spanmill.spans.reference import ReferenceDecoder


def load_decoder(attributes: Sequence[str]) -> Decoder:
    """The fastest decoder that is installed, with a column for each of these attributes."""
    return ReferenceDecoder(attributes)
