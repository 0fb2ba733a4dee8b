"""Bits and bytes: strict UPER (X.691) from compiled schemas and strict COER (X.696) by hand."""
