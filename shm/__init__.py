"""Transport: segments, rings, latest-value tables, counters. Knows nothing about trading."""
