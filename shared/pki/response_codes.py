"""What an authority answers: the response codes of TS 102 941 clauses 6.2.3.2-6.2.3.4 (annex A), with a sentence for each.

A code has a number on the wire, the standard's word and a sentence for a person. An authority that says no is no failure of the
exchange: the answer is signed and opened like any other, and raises `AuthorityRefusal` on the station's side.
"""

from enum import Enum
from typing import TypeVar

from shared.codec.coer import CoerReader
from shared.core.errors import V2xError


class ResponseCode(Enum):
    """Base of the three tables; a member's value is number, word and sentence."""

    _value_: tuple[int, str, str]

    @property
    def number(self) -> int:
        """Number on the wire."""
        return self.value[0]

    @property
    def word(self) -> str:
        """The standard's word."""
        return self.value[1]

    @property
    def sentence(self) -> str:
        """A sentence for a person, without full stop."""
        return self.value[2]


class EnrolmentResponseCode(ResponseCode):
    """`EnrolmentResponseCode`: an enrolment authority to a station."""

    OK = (0, "ok", "the enrolment authority issued the credential")
    CANT_PARSE = (1, "cantparse", "the enrolment authority could not read the request")
    BAD_CONTENT_TYPE = (2, "badcontenttype", "the request is of a kind an enrolment authority does not answer")
    NOT_RECIPIENT = (3, "imnottherecipient", "the request is not meant for this enrolment authority")
    UNKNOWN_ENCRYPTION = (4, "unknownencryptionalgorithm", "the request is encrypted in an unknown way")
    DECRYPTION_FAILED = (5, "decryptionfailed", "the enrolment authority could not decrypt the request")
    UNKNOWN_ITS = (6, "unknownits", "the station is not registered with the enrolment authority")
    INVALID_SIGNATURE = (7, "invalidsignature", "a signature of the request does not hold")
    INVALID_ENCRYPTION_KEY = (8, "invalidencryptionkey", "the encryption key in the request is no usable key")
    BAD_ITS_STATUS = (9, "baditsstatus", "the station is blocked")
    INCOMPLETE_REQUEST = (10, "incompleterequest", "the request lacks something it must have")
    DENIED_PERMISSIONS = (11, "deniedpermissions", "the station may not have what it asks for")
    INVALID_KEYS = (12, "invalidkeys", "the verification key in the request is no usable key")
    DENIED_REQUEST = (13, "deniedrequest", "the enrolment authority denies the request")


class AuthorizationResponseCode(ResponseCode):
    """`AuthorizationResponseCode`: an authorization authority to a station.

    Words with `its-aa` and numbers up to 12 are about what the station sent; 13 is about reaching the enrolment authority; those
    from 14 on are the enrolment authority's own, passed on.
    """

    OK = (0, "ok", "the authorization authority issued the ticket")
    CANT_PARSE = (1, "its-aa-cantparse", "the authorization authority could not read the request")
    BAD_CONTENT_TYPE = (2, "its-aa-badcontenttype", "the request is of a kind an authorization authority does not answer")
    NOT_RECIPIENT = (3, "its-aa-imnottherecipient", "the request is not meant for this authorization authority")
    UNKNOWN_ENCRYPTION = (4, "its-aa-unknownencryptionalgorithm", "the request is encrypted in an unknown way")
    DECRYPTION_FAILED = (5, "its-aa-decryptionfailed", "the authorization authority could not decrypt the request")
    KEYS_DONT_MATCH = (6, "its-aa-keysdontmatch", "the keys in the request are not proven to be the ones the station vouches for")
    INCOMPLETE_REQUEST = (7, "its-aa-incompleterequest", "the request lacks something it must have")
    INVALID_ENCRYPTION_KEY = (8, "its-aa-invalidencryptionkey", "the encryption key in the request is no usable key")
    OUT_OF_SYNC = (9, "its-aa-outofsyncrequest", "the request is dated too far from the authorization authority's time")
    UNKNOWN_EA = (10, "its-aa-unknownea", "the authorization authority does not know the enrolment authority")
    INVALID_EA = (11, "its-aa-invalidea", "the authorization authority does not trust the enrolment authority")
    DENIED_PERMISSIONS = (12, "its-aa-deniedpermissions", "the authorization authority may not issue what is asked for")
    CANT_REACH_EA = (13, "aa-ea-cantreachea", "the enrolment authority gave no usable answer")
    EA_CANT_PARSE = (14, "ea-aa-cantparse", "the enrolment authority could not read what it was asked")
    EA_BAD_CONTENT_TYPE = (15, "ea-aa-badcontenttype", "the enrolment authority was asked for a kind of answer it does not give")
    EA_NOT_RECIPIENT = (16, "ea-aa-imnottherecipient", "the station's signature is meant for another enrolment authority")
    EA_UNKNOWN_ENCRYPTION = (17, "ea-aa-unknownencryptionalgorithm", "the station's signature is encrypted in an unknown way")
    EA_DECRYPTION_FAILED = (18, "ea-aa-decryptionfailed", "the enrolment authority could not decrypt the station's signature")
    INVALID_AA = (19, "invalidaa", "the enrolment authority does not trust the authorization authority")
    INVALID_AA_SIGNATURE = (20, "invalidaasignature", "the authorization authority's signature does not hold")
    WRONG_EA = (21, "wrongea", "the station is to be judged by another enrolment authority")
    UNKNOWN_ITS = (22, "unknownits", "the enrolment authority does not know the station's credential")
    INVALID_SIGNATURE = (23, "invalidsignature", "the station's signature under its credential does not hold")
    EA_INVALID_ENCRYPTION_KEY = (24, "invalidencryptionkey", "the encryption key in the request is no usable key")
    EA_DENIED_PERMISSIONS = (25, "deniedpermissions", "the enrolment authority does not let the station have what it asks for")
    DENIED_TOO_MANY = (26, "deniedtoomanycerts", "the station holds as many tickets for that time as it may")


class ValidationResponseCode(ResponseCode):
    """`AuthorizationValidationResponseCode`: an enrolment authority to an authorization authority."""

    OK = (0, "ok", "the enrolment authority vouches for the station")
    CANT_PARSE = (1, "cantparse", "the enrolment authority could not read the request")
    BAD_CONTENT_TYPE = (2, "badcontenttype", "the request is of a kind an enrolment authority does not answer")
    NOT_RECIPIENT = (3, "imnottherecipient", "the station's signature is meant for another enrolment authority")
    UNKNOWN_ENCRYPTION = (4, "unknownencryptionalgorithm", "the station's signature is encrypted in an unknown way")
    DECRYPTION_FAILED = (5, "decryptionfailed", "the enrolment authority could not decrypt the station's signature")
    INVALID_AA = (6, "invalidaa", "the enrolment authority does not trust the authorization authority")
    INVALID_AA_SIGNATURE = (7, "invalidaasignature", "the authorization authority's signature does not hold")
    WRONG_EA = (8, "wrongea", "the station is to be judged by another enrolment authority")
    UNKNOWN_ITS = (9, "unknownits", "the station's credential is not known")
    INVALID_SIGNATURE = (10, "invalidsignature", "the station's signature under its credential does not hold")
    INVALID_ENCRYPTION_KEY = (11, "invalidencryptionkey", "the encryption key in the request is no usable key")
    DENIED_PERMISSIONS = (12, "deniedpermissions", "the station may not have what it asks for")
    DENIED_TOO_MANY = (13, "deniedtoomanycerts", "the station holds as many tickets for that time as it may")
    DENIED_REQUEST = (14, "deniedrequest", "the enrolment authority denies the request")


_PASSED_ON = {
    ValidationResponseCode.OK: AuthorizationResponseCode.OK,
    ValidationResponseCode.CANT_PARSE: AuthorizationResponseCode.EA_CANT_PARSE,
    ValidationResponseCode.BAD_CONTENT_TYPE: AuthorizationResponseCode.EA_BAD_CONTENT_TYPE,
    ValidationResponseCode.NOT_RECIPIENT: AuthorizationResponseCode.EA_NOT_RECIPIENT,
    ValidationResponseCode.UNKNOWN_ENCRYPTION: AuthorizationResponseCode.EA_UNKNOWN_ENCRYPTION,
    ValidationResponseCode.DECRYPTION_FAILED: AuthorizationResponseCode.EA_DECRYPTION_FAILED,
    ValidationResponseCode.INVALID_AA: AuthorizationResponseCode.INVALID_AA,
    ValidationResponseCode.INVALID_AA_SIGNATURE: AuthorizationResponseCode.INVALID_AA_SIGNATURE,
    ValidationResponseCode.WRONG_EA: AuthorizationResponseCode.WRONG_EA,
    ValidationResponseCode.UNKNOWN_ITS: AuthorizationResponseCode.UNKNOWN_ITS,
    ValidationResponseCode.INVALID_SIGNATURE: AuthorizationResponseCode.INVALID_SIGNATURE,
    ValidationResponseCode.INVALID_ENCRYPTION_KEY: AuthorizationResponseCode.EA_INVALID_ENCRYPTION_KEY,
    ValidationResponseCode.DENIED_PERMISSIONS: AuthorizationResponseCode.EA_DENIED_PERMISSIONS,
    ValidationResponseCode.DENIED_TOO_MANY: AuthorizationResponseCode.DENIED_TOO_MANY,
    ValidationResponseCode.DENIED_REQUEST: AuthorizationResponseCode.EA_DENIED_PERMISSIONS,
}


def passed_on(code: ValidationResponseCode) -> AuthorizationResponseCode:
    """Return what the station is told; its table has no word for `deniedrequest`, so it hears `deniedpermissions`."""
    return _PASSED_ON[code]


C = TypeVar("C", bound=ResponseCode)


def read_response_code(reader: CoerReader, table: type[C], field: str) -> C:
    """Read a code of one table; raises `DecodeError` for a number the table does not have."""
    number = reader.enumerated(field)
    for code in table:
        if code.number == number:
            return code
    raise reader.refuse(field, f"response code {number} is unknown")


class AuthorityRefusal(V2xError):  # noqa: N818  # an answer, not a fault
    """An authority answered, and said no.

    Args:
        answer: its code; the code's word is the stable word, its sentence is what a person reads.
    """

    def __init__(self, answer: ResponseCode) -> None:
        super().__init__(f"the authority refused ({answer.word}): {answer.sentence}")
        self.answer = answer

    @property
    def code(self) -> str:
        """The standard's word, e.g. `deniedpermissions`."""
        return self.answer.word

    @property
    def sentence(self) -> str:
        """Why, for a person."""
        return self.answer.sentence
