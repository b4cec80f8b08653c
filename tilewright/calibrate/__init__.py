"""What a core of this host does, measured through our own compiler."""

from tilewright.calibrate.alone import Alone, FmaPeak, executable

__all__ = ["Alone", "FmaPeak", "executable"]
