"""Order books: grids, ladders, trust, VWAP; updates in, tops and book rows out."""
