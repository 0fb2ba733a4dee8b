"""The simulator: real agents, simulated cars, roads, radios and attackers."""
