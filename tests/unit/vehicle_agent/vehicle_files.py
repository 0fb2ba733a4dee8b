"""A vehicle's folder as an operator sets it up: identities, trust, map and configuration, with a seeded hierarchy."""

import shutil
from pathlib import Path

from shared.pki.authority import years
from shared.security.ecdsa import Curve, SoftwareSigner
from shared.service.trust_directory import write_ticket, write_trust_directory
from simulator.ecu import SIM_CAR_DBC, SIM_CAR_MAP
from tests.helpers.hierarchy import Hierarchy

CONFIG = """\
[station]
length_m = 4.6
width_m = 1.8
[identity]
ticket = "ticket"
enrolment = "enrolment"
trust = "trust"
[time]
source = "assume_trusted"
[[can]]
interface = "virtual"
channel = "can0"
map = "sim_car.toml"
[odometer]
every_m = 50
[ledger]
log = "state/log.db"
key = "state/log.key"
policy = "state/log.policy"
origin = "vehicle.example/log"
[state]
spool = "state/spool.db"
status_socket = "state/status.sock"
"""


def set_up_vehicle(directory: Path, hierarchy: Hierarchy, *, config: str = CONFIG) -> Path:
    """Write everything a vehicle's operator writes; returns the path of the configuration."""
    write_trust_directory(directory / "trust", hierarchy.trust_store)
    ticket = hierarchy.ticket()
    assert isinstance(ticket.signer, SoftwareSigner)
    write_ticket(directory / "ticket", ticket.certificate, ticket.signer)
    signer = hierarchy.keys.generate(Curve.NIST_P256)
    credential = hierarchy.ea.issue_credential(public_key=signer.public_key, validity=years(hierarchy.start, 3))
    write_ticket(directory / "enrolment", credential, signer)
    for file in (SIM_CAR_DBC, SIM_CAR_MAP):
        shutil.copy(file, directory)
    (directory / "state").mkdir()
    path = directory / "agent.toml"
    path.write_text(config)
    return path
