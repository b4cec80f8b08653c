"""Linear algebra in plain JAX: what stands in for LAPACK.

Each function works on one matrix and is a loop over its columns (or over sets of rotations that do
not touch each other), so that it traces to few nodes at any size. Batches come by `vmap`.
"""
