"""The edges: radios, CAN buses and capture files. The first layer that may wait."""
