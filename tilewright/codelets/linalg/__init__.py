"""Factorisations of one matrix or of a batch of small ones: one codelet each."""

from tilewright.codelets.linalg.cholesky import Cholesky
from tilewright.codelets.linalg.lu import LU
from tilewright.codelets.linalg.triangular import TriangularSolve

__all__ = ["LU", "Cholesky", "TriangularSolve"]
