"""Example junctions: a signal plan and a map that fit each other; copy them and change the numbers."""
