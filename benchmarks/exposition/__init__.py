"""What a scrape of a quarter of a million label sets takes, beside the Collector."""
