"""What `v2x bench` measures of the vehicle agent."""
