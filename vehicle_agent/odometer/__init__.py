"""The odometer of one vehicle, from several witnesses: what it reads, what others say to it, and when that becomes a record.

`witnesses` names them, `distance` measures what speeds and positions amount to, `readings` says which reading is to be believed,
`comparison` holds one witness to the odometer, `calibration` knows how far it is off by nature, `motion` tells driving from being
carried, `frame_watch` looks at the message itself, `judgement` makes one verdict of it all, `policy` says when to record, and
`watch` ties them together. Values in, values out: no clock is read and nothing is stored.
"""

from vehicle_agent.odometer.policy import OdometerPolicy, RecordDue
from vehicle_agent.odometer.watch import OdometerWatch

__all__ = ["OdometerPolicy", "OdometerWatch", "RecordDue"]
