"""Runs a Program by the meaning of its vertices, and reports races."""

from tilewright.simulate.run import Simulation, simulate

__all__ = ["Simulation", "simulate"]
