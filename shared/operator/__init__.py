"""Programs an operator runs beside agents: the authorities that issue credentials and publish trust lists."""
