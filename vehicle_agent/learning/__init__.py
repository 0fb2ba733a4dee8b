"""What a bus nobody has written a map for can tell: listen, find checksums, counters and meanings, and propose a map."""
