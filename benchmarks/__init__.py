"""Measurements of the goals of speed, each beside what it is compared with, in turns and in one run."""
