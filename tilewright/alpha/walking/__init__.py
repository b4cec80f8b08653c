"""Walking forward by dates: windows, their folder, and what reports are made of.

What is fitted to a window is the business of others: the net of the scale (`alpha.scale`), nets
that read sequences (`sequence.forward`).
"""
