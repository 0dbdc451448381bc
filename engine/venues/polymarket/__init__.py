"""Polymarket: market data and fees."""
