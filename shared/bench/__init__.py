"""What `v2x bench` measures: each figure beside its limit, measured in the same rounds."""
