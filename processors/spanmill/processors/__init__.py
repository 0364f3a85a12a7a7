"""What derives metrics from batches of spans."""
