"""Arbitrage: one file a kind, each says which legs make a guaranteed payoff."""
