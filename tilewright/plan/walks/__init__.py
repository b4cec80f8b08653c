"""Vertices that follow each other over rows or images take them in turns, on one tile."""
