"""Both decoders as one: what each test asserts is asserted of the compiled one, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pytest

from spanmill.errors import RequestError
from spanmill.kernels import load_kernel
from spanmill.spans.compiled import KERNELS, CompiledDecoder
from spanmill.spans.decoder import DecodedRequest, Decoder
from spanmill.spans.reference import ReferenceDecoder
from spans.fuzz.difference import difference


def compiled_decoder(
    attributes: Sequence[str], group_by: Sequence[str] = (), hash_key: bytes | None = None
) -> CompiledDecoder:
    """The decoder on the kernels; the test is skipped where they are not built."""
    kernels = [kernel for name in KERNELS if (kernel := load_kernel(name)) is not None]
    if len(kernels) < len(KERNELS):
        pytest.skip("the decoder's kernels are not built: python setup.py build_ext --inplace")
    return CompiledDecoder(kernels, attributes, group_by, hash_key)


class BothDecoders:
    """Decodes with both, asserts that they agree, and gives what the compiled one gave.

    Where the kernels are not built it is the reference alone.
    """

    kind: Literal["compiled", "reference"] = "compiled"

    def __init__(self, attributes: Sequence[str]) -> None:
        self.reference = ReferenceDecoder(attributes)
        self.compiled: CompiledDecoder | None = None
        if all(load_kernel(name) is not None for name in KERNELS):
            self.compiled = compiled_decoder(attributes, attributes[:2])

    def of_kind(self, kind: str) -> Decoder:
        """One of the two; the test is skipped where it is not there."""
        if kind == "reference":
            return self.reference
        if self.compiled is None:
            pytest.skip("the decoder's kernels are not built: python setup.py build_ext --inplace")
        return self.compiled

    def decode(self, body: bytes) -> DecodedRequest:
        """The result of both; an error of both is raised."""
        try:
            expected = self.reference.decode(body)
        except RequestError as error:
            if self.compiled is not None:
                with pytest.raises(type(error)):
                    self.compiled.decode(body)
            raise
        if self.compiled is None:
            return expected
        found = self.compiled.decode(body)
        assert difference(expected, found) is None
        return found
