"""Errors, clocks, ITS time, units, identifiers and geometry: values only, no input or output."""
