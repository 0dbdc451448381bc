"""Positions, cash and profit: the journal and what follows from it."""
