"""Which decoder runs here."""

from __future__ import annotations

from collections.abc import Sequence

from spanmill.spans.decoder import Decoder
from spanmill.spans.reference import ReferenceDecoder


def load_decoder(attributes: Sequence[str], group_by: Sequence[str] = ()) -> Decoder:
    """The fastest decoder that is installed, with a column for each of these attributes.

    `group_by` are those of them, in their order, that tell groups of spans apart, where the
    decoder finds groups.
    """
    return ReferenceDecoder(attributes)
