"""Thread time a span in both decoders, turn by turn: `python -m benchmarks.decoder --data FILE`."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from benchmarks.ingest.payloads import read_recording, regroup
from spanmill.spans.decoder import Decoder
from spanmill.spans.installed import load_decoder
from spanmill.spans.reference import ReferenceDecoder

ATTRIBUTES = (
    *("http.route", "http.method", "http.status_code", "http.target", "rpc.service"),
    *("rpc.method", "rpc.system", "db.system", "net.peer.name", "nowhere"),
)
SIZES = (10, 100, 512, 8192)
SPANS = 45_000
ROUNDS = 5


def seconds(decoder: Decoder, bodies: list[bytes]) -> float:
    begun = time.thread_time()
    for body in bodies:
        decoder.decode(body)
    return time.thread_time() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a recording of spans")
    recording = read_recording(parser.parse_args().data)
    decoders = [load_decoder(ATTRIBUTES, ATTRIBUTES[:4]), ReferenceDecoder(ATTRIBUTES)]
    print("spans a request | decoder | µs a span | µs a request | reference / this")
    for size in SIZES:
        requests = regroup(recording, size, SPANS)
        bodies = [request.SerializeToString() for request in requests]
        best = [
            min(times)
            for times in zip(
                *([seconds(decoder, bodies) for decoder in decoders] for _ in range(ROUNDS)),
                strict=True,
            )
        ]
        for decoder, time_taken in zip(decoders, best, strict=True):
            per_span, per_request = time_taken / SPANS * 1e6, time_taken / len(bodies) * 1e6
            ratio = best[-1] / time_taken
            print(f"{size} | {decoder.kind} | {per_span:.2f} | {per_request:.0f} | {ratio:.1f}")


if __name__ == "__main__":
    main()
