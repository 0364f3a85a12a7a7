"""CPU a span and memory of spanmill beside the real Collector, on recorded spans."""
