"""Frauds on cards: simulated purchases, features, splits by time, scores, models, a page."""
