"""Seeded sessions: synthetic market data of both venues in their wire format, with planted opportunities."""
