"""Tiles that share no memory: what is at home where, layouts by cost, exchanges, chips."""
