"""What leaves the process: scrapes and forwarded traces."""
