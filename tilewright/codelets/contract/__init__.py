"""Contractions: matrices times matrices, vectors, packed panels and blocks of them."""

from tilewright.codelets.contract.across import ContractAcross
from tilewright.codelets.contract.blocks import ContractBlocks
from tilewright.codelets.contract.codelet import ContractOuter, ContractVector
from tilewright.codelets.contract.lanes import ContractLanes
from tilewright.codelets.contract.panels import ContractPanels
from tilewright.codelets.contract.sampled import ContractSampled
from tilewright.codelets.contract.woven import Woven

__all__ = [
    "ContractAcross",
    "ContractBlocks",
    "ContractLanes",
    "ContractOuter",
    "ContractPanels",
    "ContractSampled",
    "ContractVector",
    "Woven",
]
