"""A venue without a network: matching, queues, latency, fees, settlement and faults, all from a seed."""
