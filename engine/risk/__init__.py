"""What may leave: limits, reservations and the gate."""
