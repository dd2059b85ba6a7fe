"""The proof: what must be true of a screening for every patient there can be, shown by a solver and not by examples."""
