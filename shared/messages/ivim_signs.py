"""The road signs of an IVIM (ISO/TS 19321): which sign it is, by the Vienna convention, ISO 14823, an ITIS code or a catalogue.

What stands on a sign is in `ivim_attributes.py`.
"""

from enum import IntEnum
from typing import Final

from shared.codec.shape import Choice, Field, Fields, Items, Record
from shared.codec.uper import Tree
from shared.core.value import Value
from shared.messages import conversions as cv
from shared.messages.ivim_attributes import ATTRIBUTE, PERIOD, UNIT, SignAttribute, SignPeriod, length_m, mass_kg, speed_mps
from shared.messages.ivim_provider import PROVIDER, Provider


class ViennaClass(IntEnum):
    """`VcClass`: categories of the Vienna convention on road signs and signals."""

    CLASS_A = 0
    """Danger warning."""
    CLASS_B = 1
    """Priority."""
    CLASS_C = 2
    """Prohibitory or restrictive."""
    CLASS_D = 3
    """Mandatory."""
    CLASS_E = 4
    """Special regulation."""
    CLASS_F = 5
    """Information, facilities or service."""
    CLASS_G = 6
    """Direction, position or indication."""
    CLASS_H = 7
    """Additional panel."""


class ViennaOption(IntEnum):
    """`VcOption`: the letter behind the number."""

    NONE = 0
    A = 1
    B = 2
    C = 3
    D = 4
    E = 5
    F = 6
    G = 7


class TrafficSign(IntEnum):
    """`trafficSignPictogram`."""

    DANGER_WARNING = 0
    REGULATORY = 1
    INFORMATIVE = 2


class PublicFacility(IntEnum):
    """`publicFacilitiesPictogram`."""

    PUBLIC_FACILITIES = 0


class RoadsideCondition(IntEnum):
    """`ambientOrRoadConditionPictogram`."""

    AMBIENT_CONDITION = 0
    ROAD_CONDITION = 1


class ViennaSign(Value):
    """`VcCode`: a sign of the Vienna convention, such as C 14 (speed limit) with the value 80 and the unit km/h.

    Attributes:
        sign_class: a `ViennaClass`.
        sign_code: 1..64 within the class.
        option: a `ViennaOption`.
        validity: when it holds, usually at most 8 periods.
        value: 0..65,535, what stands on it.
        unit: a `SignUnit` where the number has one.
    """

    sign_class: int
    sign_code: int
    option: int = ViennaOption.NONE
    validity: tuple[SignPeriod, ...] = ()
    value: int | None = None
    unit: int | None = None

    @property
    def speed_mps(self) -> float | None:
        """What stands on it as a speed, None where it is none."""
        return speed_mps(self.value, self.unit)

    @property
    def length_m(self) -> float | None:
        """What stands on it as a length, None where it is none."""
        return length_m(self.value, self.unit)

    @property
    def mass_kg(self) -> float | None:
        """What stands on it as a mass, None where it is none."""
        return mass_kg(self.value, self.unit)


class Iso14823Sign(Value):
    """`ISO14823Code`: a pictogram of ISO 14823; exactly one of the service fields is set.

    Attributes:
        nature: 1..9.
        serial_number: 0..99.
        traffic_sign: a `TrafficSign`.
        public_facility: a `PublicFacility`.
        condition: a `RoadsideCondition`.
        other_service: what a later version knows besides, as a plain tree.
        country_code: two octets, None for the pictogram of the standard.
        attributes: what stands on it, usually at most 8.
    """

    nature: int
    serial_number: int
    traffic_sign: int | str | None = None
    public_facility: int | str | None = None
    condition: int | str | None = None
    other_service: Tree | None = None
    country_code: bytes | None = None
    attributes: tuple[SignAttribute, ...] = ()

    @property
    def category_code(self) -> int:
        """The pictogram category code as printed in ISO 14823: the nature, then two digits of serial number."""
        return 100 * self.nature + self.serial_number


class CatalogueSign(Value):
    """`AnyCatalogue`: a sign of a catalogue of some organisation.

    Attributes:
        owner: whose catalogue it is.
        version: 0..255.
        pictogram_code: 0..65,535.
        value: 0..65,535, what stands on it.
        unit: a `SignUnit` where the number has one.
        attributes: what else stands on it, usually at most 8.
    """

    owner: Provider
    version: int
    pictogram_code: int
    value: int | None = None
    unit: int | None = None
    attributes: tuple[SignAttribute, ...] = ()

    @property
    def speed_mps(self) -> float | None:
        """What stands on it as a speed, None where it is none."""
        return speed_mps(self.value, self.unit)


class RoadSign(Value):
    """`RSCode`: one sign; exactly one of its fields but the first is set.

    Attributes:
        layout_component_id: where in the layout it is shown, 1..4 or more.
        vienna: a sign of the Vienna convention.
        iso14823: a pictogram of ISO 14823.
        itis_code: 0..65,535, a code of SAE J2540.
        catalogue: a sign of some catalogue.
        other: what a later version knows besides, as a plain tree.
    """

    layout_component_id: int | None = None
    vienna: ViennaSign | None = None
    iso14823: Iso14823Sign | None = None
    itis_code: int | None = None
    catalogue: CatalogueSign | None = None
    other: Tree | None = None


_ATTRIBUTES = Field("attributes", Items(ATTRIBUTE), absent=())

_VIENNA = Record(
    ViennaSign,
    {
        "roadSignClass": Field("sign_class", cv.OpenMembers(ViennaClass)),
        "roadSignCode": Field("sign_code"),
        "vcOption": Field("option", cv.OpenMembers(ViennaOption)),
        "validity": Field("validity", Items(PERIOD), absent=()),
        "value": Field("value"),
        "unit": Field("unit", UNIT),
    },
)

_ISO14823 = Record(
    Iso14823Sign,
    {
        "pictogramCode": Fields(
            {
                "countryCode": Field("country_code"),
                "serviceCategoryCode": Choice(
                    {
                        "trafficSignPictogram": Field("traffic_sign", cv.OpenMembers(TrafficSign)),
                        "publicFacilitiesPictogram": Field("public_facility", cv.OpenMembers(PublicFacility)),
                        "ambientOrRoadConditionPictogram": Field("condition", cv.OpenMembers(RoadsideCondition)),
                    },
                    demand="needs exactly one service category",
                    later="other_service",
                ),
                "pictogramCategoryCode": Fields({"nature": Field("nature"), "serialNumber": Field("serial_number")}),
            }
        ),
        "attributes": _ATTRIBUTES,
    },
)

_CATALOGUE = Record(
    CatalogueSign,
    {
        "owner": Field("owner", PROVIDER),
        "version": Field("version"),
        "pictogramCode": Field("pictogram_code"),
        "value": Field("value"),
        "unit": Field("unit", UNIT),
        "attributes": _ATTRIBUTES,
    },
)

ROAD_SIGN: Final = Record(
    RoadSign,
    {
        "layoutComponentId": Field("layout_component_id"),
        "code": Choice(
            {
                "viennaConvention": Field("vienna", _VIENNA),
                "iso14823": Field("iso14823", _ISO14823),
                "itisCodes": Field("itis_code"),
                "anyCatalogue": Field("catalogue", _CATALOGUE),
            },
            demand="needs exactly one code",
            later="other",
        ),
    },
)
"""Shape of an `RSCode`."""
