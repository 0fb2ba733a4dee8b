"""C2SP transparency log: Merkle tree, tiles, notes, proofs, and a light client that trusts nobody it need not."""
