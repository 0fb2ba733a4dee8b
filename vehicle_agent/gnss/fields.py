"""Which fields of the vehicle's state a receiver feeds."""

POSITION_FIELDS = frozenset({"position", "position_accuracy_m", "altitude_m", "gnss_speed_mps", "fix_quality"})
"""What a receiver is asked for; signals of a map that feed the same are left out (`vehicle_agent.gnss.bus_position`)."""

HEADING_FIELD = "heading_deg"
"""What a receiver tells where no signal does: a car that measures its own heading knows it better."""
