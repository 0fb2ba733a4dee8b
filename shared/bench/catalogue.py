"""Every bench there is: those of `shared`, and those that installed programs bring along."""

from collections.abc import Mapping
from importlib.metadata import entry_points

from shared.bench.audit_bench import ledger_audit
from shared.bench.codec_bench import codec
from shared.bench.figure import Bench
from shared.bench.identity_bench import identity
from shared.bench.key_store_bench import keys
from shared.bench.ledger_append_bench import ledger_append
from shared.bench.ledger_bench import ledger
from shared.bench.mqtt_bench import mqtt
from shared.bench.overload_bench import overload
from shared.bench.security_bench import sign, verify
from shared.bench.station_bench import inbound, outbound, rubbish
from shared.bench.threads_bench import threads

ENTRY_POINT_GROUP = "v2x.bench"

SHARED_BENCHES: Mapping[str, Bench] = {
    "codec": codec,
    "sign": sign,
    "keys": keys,
    "verify": verify,
    "identity": identity,
    "inbound": inbound,
    "outbound": outbound,
    "rubbish": rubbish,
    "threads": threads,
    "overload": overload,
    "mqtt": mqtt,
    "ledger": ledger,
    "ledger_audit": ledger_audit,
    "ledger_append": ledger_append,
}


def all_benches() -> dict[str, Bench]:
    """Return every bench by name, in the order they run."""
    benches = dict(SHARED_BENCHES)
    for found in entry_points(group=ENTRY_POINT_GROUP):
        benches.setdefault(found.name, found.load())
    return benches
