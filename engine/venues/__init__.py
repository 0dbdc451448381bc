"""Both venues: market data codecs, fees, and what they share."""
