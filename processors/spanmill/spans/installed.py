"""Which decoder runs here."""

from __future__ import annotations

from collections.abc import Sequence

from spanmill.kernels import load_kernel
from spanmill.spans.compiled import CompiledDecoder
from spanmill.spans.decoder import Decoder
from spanmill.spans.reference import ReferenceDecoder


def load_decoder(attributes: Sequence[str], group_by: Sequence[str] = ()) -> Decoder:
    """The fastest decoder that is installed, with a column for each of these attributes.

    `group_by` are those of them, in their order, that tell groups of spans apart, where the
    decoder finds groups.
    """
    kernel = load_kernel("spanmill.spans._decode")
    if kernel is None:
        return ReferenceDecoder(attributes)
    return CompiledDecoder(kernel, attributes, group_by)
