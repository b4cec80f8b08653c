"""Contractions: matrices times matrices, vectors, packed panels and blocks of them."""

from tilewright.codelets.contract.blocks import ContractBlocks
from tilewright.codelets.contract.codelet import ContractOuter, ContractVector
from tilewright.codelets.contract.lanes import ContractLanes
from tilewright.codelets.contract.panels import ContractPanels

__all__ = ["ContractBlocks", "ContractLanes", "ContractOuter", "ContractPanels", "ContractVector"]
