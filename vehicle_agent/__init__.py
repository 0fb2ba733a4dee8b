"""The in-vehicle edge agent."""
