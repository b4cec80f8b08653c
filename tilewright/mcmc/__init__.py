"""Markov chains of other libraries' samplers, one a core."""

from tilewright.mcmc.chains import chains as chains
