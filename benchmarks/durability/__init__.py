"""The price of an acknowledgement that means that the spans are on disk."""
