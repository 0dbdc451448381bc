"""Trading: pure, deterministic, without input or output, wall clock or randomness."""
