"""Checkpoints on an EVM chain, verified without one: headers, state and receipt proofs, and the seals of a consortium."""
