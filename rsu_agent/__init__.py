"""The roadside-unit agent."""
