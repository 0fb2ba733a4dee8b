"""What a vehicle's buses say, frame by frame, by signal maps and the DBC files they name."""
