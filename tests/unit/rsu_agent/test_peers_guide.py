"""docs/peers.md: its bounds are those of the code, and the metrics it names are served."""

import re
from pathlib import Path

from rsu_agent.metrics import metrics_text
from rsu_agent.peers import MAX_PEERS, PEER_LIFETIME_NS
from rsu_agent.plausibility_service import MANY_NEW_TICKETS
from shared.core.clock import NS_PER_S
from shared.trust.detectors.jump import JUMP_LIMIT_MPS
from shared.trust.detectors.limits import HARDEST_ACCELERATION_MPS2, HARDEST_BRAKING_MPS2, SPEED_LIMIT_MPS
from tests.helpers.data import REPOSITORY
from tests.helpers.hierarchy import clock_at
from tests.unit.rsu_agent.test_rsu_agent import unit

GUIDE = (REPOSITORY / Path("docs/peers.md")).read_text(encoding="utf-8")


def test_every_metric_it_names_is_served() -> None:
    served = metrics_text(unit().status(clock_at().now()))
    named = set(re.findall(r"`(v2x_rsu_\w+)", GUIDE))
    assert len(named) > 5
    assert {name for name in named if f"# TYPE {name} " not in served} == set()


def test_its_bounds_are_those_of_the_code() -> None:
    words = " ".join(GUIDE.split())
    assert f"ends after {PEER_LIFETIME_NS // NS_PER_S} s of silence. There are at most {MAX_PEERS:,};" in words
    assert f"More than {MANY_NEW_TICKETS:,} new tickets in a minute" in words
    change = f"from {HARDEST_BRAKING_MPS2:g} to {HARDEST_ACCELERATION_MPS2:g} m/s²"
    assert f"| `P3` | a speed, a change of speed | {SPEED_LIMIT_MPS:g} m/s; {change} |" in GUIDE
    assert f"| `C1` | a place that could not be reached since the one before | {JUMP_LIMIT_MPS:g} m/s |" in GUIDE
