"""Built-in scenarios: where the roads lie and what the lights do, as values."""
