"""A moment as it is written on a command line."""

from shared.core.clock import UtcNs
from shared.core.errors import ConfigError
from shared.core.itstime import time64_of, utc_from_text


def moment_of(text: str, option: str = "--at") -> UtcNs:
    """Return the moment that an option says, ISO 8601 with its offset; raise `ConfigError` for what is none since 2004."""
    try:
        moment = utc_from_text(text)
        time64_of(moment)
    except (ValueError, OverflowError) as error:
        raise ConfigError(option, f"{text!r} is no moment since 2004 with its offset: {error}") from None
    return moment
