"""Facilities messages as frozen values with SI units, and their UPER codecs."""
