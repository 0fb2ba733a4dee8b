"""Signed records about a vehicle, the commitments that enter the log, and the passport that holds their proofs."""
