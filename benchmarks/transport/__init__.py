"""What receiving and answering a request costs, without decoding: servers, options, hand-overs."""
