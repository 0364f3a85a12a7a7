"""What percentiles cost, and how exact they are beside those of other histograms."""
