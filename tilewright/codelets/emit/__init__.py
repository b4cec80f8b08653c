"""LLVM text from its smallest pieces: what all families of codelets write with."""
