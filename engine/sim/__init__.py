"""A venue in a box: matching, latency, fees, settlement, faults; and sessions to run against it."""
