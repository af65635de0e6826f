"""Regions to sentences: the recurrent cells of Eq. 13 to 15 in NumPy, and the search for the likeliest sentence."""
