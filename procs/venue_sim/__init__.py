"""Both venues on loopback, as they serve market data: WebSockets over recordings or a seeded session."""
