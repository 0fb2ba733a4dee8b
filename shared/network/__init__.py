"""GeoNetworking (EN 302 636-4-1) and BTP (EN 302 636-5-1) headers and areas."""
