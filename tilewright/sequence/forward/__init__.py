"""Walking forward with nets that read sequences: how widely returns scatter, held against the best.

The job, its windows and its folder are those of `alpha.walking`.
"""
