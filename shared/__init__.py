"""What both agents and the simulator stand on; `docs/architecture.md` draws the layers."""
