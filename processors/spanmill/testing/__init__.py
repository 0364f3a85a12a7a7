"""What tests of processors need: a clock, batches without a decoder, and the contract checks."""

from spanmill.testing.contract import CHECKS, check_processor
from spanmill.testing.fakes import ManualClock, Span, batch_of

__all__ = ["CHECKS", "ManualClock", "Span", "batch_of", "check_processor"]
