"""What a vehicle measures about itself: charging, trips, the health of its battery.

The battery's figures are those of one battery in use that Regulation (EU) 2023/1542 asks for in Annex VII and Annex XIII point 4:
state of certified energy, remaining capacity and power, round trip efficiency, cycles, energy and capacity throughput, deep
discharges, extreme temperatures, status. The figures of its model (composition, carbon footprint, conformity) are the maker's to
publish and are not repeated in a vehicle's records. The odometer has a file of its own (`shared.records.odometer`).
"""

from shared.records.fields import HASH, MOMENT, MONEY, NAME, NUMBER, PERMILLE, POSITION, Choice, Field, Text, Whole
from shared.records.kind import MAX_ODOMETER_M, KindSpec, RecordKind, occurred, odometer_m

MAX_BATTERY_WH = 10_000_000
"""Ten thousand kilowatt-hours."""

MAX_BATTERY_MAH = 100_000_000
MAX_SESSION_WH = 100_000_000
MAX_POWER_W = 10_000_000
MAX_THROUGHPUT_WH = 1_000_000_000_000
MAX_THROUGHPUT_MAH = 10_000_000_000_000
MAX_CYCLES = 1_000_000
MAX_TEMPERATURE_DC = 2_000
"""Tenths of a degree Celsius."""

MIN_TEMPERATURE_DC = -1_000
MAX_LIFETIME_S = 100 * 366 * 86_400
MAX_TRIP_FUEL_ML = 10_000_000
MAX_TRIP_CO2_G = 100_000_000
MAX_TARIFF_CHARACTERS = 100

_TEMPERATURE = Whole(MAX_TEMPERATURE_DC, MIN_TEMPERATURE_DC)
_COUNT = Whole(MAX_CYCLES)
_SERIAL = Field(
    name="serial_number", type=NUMBER, meaning="Of the battery, as its label or its own passport says.", is_optional=True
)


def _figure(name: str, field_type: Whole, meaning: str) -> Field:
    return Field(name=name, type=field_type, meaning=meaning, is_optional=True)


BATTERY = KindSpec(
    kind=RecordKind.BATTERY,
    meaning="How the traction battery is, and what it has been through.",
    fields=(
        occurred("When the figures were taken."),
        odometer_m(is_optional=True),
        _SERIAL,
        Field(
            name="status",
            type=Choice(("original", "repurposed", "reused", "remanufactured", "waste")),
            meaning="What it is in its life (Annex XIII 4 c).",
        ),
        Field(name="state_of_health_permille", type=PERMILLE, meaning="Of its rated capacity, what is left (Annex VII part A)."),
        _figure(
            "certified_energy_permille", PERMILLE, "State of certified energy of an electric vehicle's battery (Annex VII part A)."
        ),
        _figure("rated_capacity_mah", Whole(MAX_BATTERY_MAH), "When it was new."),
        _figure("remaining_capacity_mah", Whole(MAX_BATTERY_MAH), "Now."),
        _figure("rated_energy_wh", Whole(MAX_BATTERY_WH), "When it was new."),
        _figure("remaining_energy_wh", Whole(MAX_BATTERY_WH), "Now, fully charged."),
        _figure("remaining_power_permille", PERMILLE, "Of its rated power, what is left."),
        _figure("round_trip_efficiency_permille", PERMILLE, "Energy out by energy in."),
        _figure("resistance_rise_permille", Whole(100_000), "Of its ohmic resistance when new, what was added."),
        _figure("full_cycles", _COUNT, "Equivalent full charging cycles."),
        _figure("energy_throughput_wh", Whole(MAX_THROUGHPUT_WH), "All energy ever taken out."),
        _figure("capacity_throughput_mah", Whole(MAX_THROUGHPUT_MAH), "All charge ever taken out."),
        _figure("fast_charge_share_permille", PERMILLE, "Of the energy ever charged, what came by direct current."),
        _figure("deep_discharges", _COUNT, "Times it was emptied below its lowest permitted state of charge."),
        _figure("overcharges", _COUNT, "Times it was charged above its highest permitted state of charge."),
        _figure("temperature_lowest_dc", _TEMPERATURE, "Ever measured in it, in tenths of a degree Celsius."),
        _figure("temperature_highest_dc", _TEMPERATURE, "Likewise."),
        _figure("above_temperature_s", Whole(MAX_LIFETIME_S), "Time above the temperatures it is made for, in seconds."),
        _figure("below_temperature_s", Whole(MAX_LIFETIME_S), "Time below them."),
    ),
)

CHARGING = KindSpec(
    kind=RecordKind.CHARGING,
    meaning="One session at a charger, or one in which the vehicle fed the grid or a house.",
    in_order=(("begin", "end"),),
    fields=(
        occurred("When the record was made: the end of the session."),
        odometer_m(is_optional=True),
        Field(name="begin", type=MOMENT, meaning="When energy began to flow."),
        Field(name="end", type=MOMENT, meaning="When it ended."),
        Field(
            name="direction",
            type=Choice(("charge", "discharge")),
            meaning="Into the vehicle, or out of it (vehicle to grid, vehicle to home).",
        ),
        Field(name="energy_wh", type=Whole(MAX_SESSION_WH), meaning="That flowed in this direction, in watt-hours."),
        Field(name="current", type=Choice(("ac", "dc")), meaning="Kind of current at the inlet.", is_optional=True),
        _figure("peak_power_w", Whole(MAX_POWER_W), "Highest power in the session."),
        _figure("state_of_charge_begin_permille", PERMILLE, "When energy began to flow."),
        _figure("state_of_charge_end_permille", PERMILLE, "When it ended."),
        Field(name="tariff", type=Text(MAX_TARIFF_CHARACTERS), meaning="Name or number of the tariff.", is_optional=True),
        Field(name="price", type=MONEY, meaning="What was paid, or for a discharge what was earned.", is_optional=True),
        Field(name="counterpart", type=HASH, meaning="Operator of the charger or of the grid, as a salted hash.", is_optional=True),
        Field(name="charger", type=NAME, meaning="Number of the charger (EVSE).", is_optional=True),
        Field(name="position", type=POSITION, meaning="Where.", is_optional=True),
    ),
)

TRIP = KindSpec(
    kind=RecordKind.TRIP,
    meaning="What one trip took: distance, energy, carbon dioxide.",
    in_order=(("begin", "end"),),
    fields=(
        occurred("When the record was made: the end of the trip."),
        odometer_m(is_optional=True),
        Field(name="begin", type=MOMENT, meaning="When the trip began."),
        Field(name="end", type=MOMENT, meaning="When it ended."),
        Field(name="distance_m", type=Whole(MAX_ODOMETER_M), meaning="Driven."),
        _figure("energy_wh", Whole(MAX_SESSION_WH), "Taken from the traction battery, recovered energy not counted against it."),
        _figure("recovered_wh", Whole(MAX_SESSION_WH), "Given back to it by braking."),
        _figure("fuel_ml", Whole(MAX_TRIP_FUEL_ML), "Burnt, in millilitres."),
        _figure("co2_g", Whole(MAX_TRIP_CO2_G), "Carbon dioxide put down to the trip, in grams."),
        Field(
            name="co2_method",
            type=Choice(("tailpipe", "grid_average", "supplier_mix")),
            meaning="What the figure counts: what was burnt on board, or what making the energy gave off.",
            is_optional=True,
        ),
    ),
)
