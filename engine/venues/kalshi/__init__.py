"""Kalshi: market data and fees."""
