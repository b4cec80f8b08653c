"""Contractions: matrices times matrices, vectors and packed panels."""

from tilewright.codelets.contract.codelet import ContractOuter, ContractVector
from tilewright.codelets.contract.panels import ContractPanels

__all__ = ["ContractOuter", "ContractPanels", "ContractVector"]
