"""Which decoder runs here."""

from __future__ import annotations

from collections.abc import Sequence

from spanmill.kernels import load_kernel
from spanmill.spans.compiled import KERNELS, CompiledDecoder
from spanmill.spans.decoder import Decoder
from spanmill.spans.reference import ReferenceDecoder


def load_decoder(
    attributes: Sequence[str], group_by: Sequence[str] = (), hash_key: bytes | None = None
) -> Decoder:
    """The fastest decoder that is installed, with a column for each of these attributes.

    `group_by` are those of them, in their order, that tell groups of spans apart, where the
    decoder finds groups. `hash_key` has 32 bytes; random, unless what is measured must not
    change from run to run.
    """
    kernels = [kernel for name in KERNELS if (kernel := load_kernel(name)) is not None]
    if len(kernels) < len(KERNELS):
        return ReferenceDecoder(attributes)
    return CompiledDecoder(kernels, attributes, group_by, hash_key)
