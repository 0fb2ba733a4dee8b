"""What a run showed, in sentences for people: refusal reasons, attacks and the closing summary.

Every number comes from the summary; a sentence that would not be true of it is not written.
"""

from collections.abc import Mapping
from typing import Any

from simulator.options import AttackerKind

REASON_WORDS = {
    "false_signature": "the signature does not match the message",
    "invalid_certificate": "the certificate's own signature does not hold",
    "revoked_certificate": "the certificate was revoked",
    "inconsistent_chain": "the certificate chain contradicts itself",
    "invalid_timestamp": "the message is too old, or from the future",
    "duplicate_message": "the same message was heard before",
    "invalid_mobility_data": "position or motion cannot be",
    "unsigned_message": "the packet is not signed",
    "signer_certificate_not_found": "the signer is unknown: no certificate heard from it, or none of a known authority",
    "unsupported_signer_identifier_type": "the signer is named in a way no profile allows",
    "incompatible_protocol": "another version of the protocol",
    "untrusted_root": "the certificate chain ends at a root nobody here trusts",
    "not_logged": "the authority, or its list, is not shown to be in the transparency log",
    "outdated_trust_list": "the list that vouches for the authority ran out",
    "list_rollback": "the trust list is older than the one held",
    "list_fork": "two different trust lists claim the same place",
    "list_gap": "the change of a trust list does not follow the list held",
    "expired_certificate": "a certificate is not valid at this time",
    "outside_region": "sent from outside the region of its certificate",
    "permission_denied": "the certificate does not allow this message",
    "header_profile": "the security header breaks its profile",
    "content_mismatch": "parts of the packet contradict each other",
    "untrusted_time": "the receiver does not know the time",
    "malformed": "the bytes are not a well-formed packet",
    "own_echo": "the receiver recognised a message of its own",
    "copy": "the receiver had the message already",
    "unsupported_packet": "a kind of packet this station has no use for",
}
"""One clause for every refusal code; a code that is missing here is shown as it is."""

ATTACK_TITLES = {
    AttackerKind.FORGED: "Forged",
    AttackerKind.TAMPERED: "Tampered",
    AttackerKind.REPLAYED: "Replayed",
    AttackerKind.ROLLBACK: "Odometer rolled back",
}

ATTACK_WORDS = {
    AttackerKind.FORGED: "correctly signed messages of a ghost car, with certificates from an authority of the forger's own",
    AttackerKind.TAMPERED: "genuine messages with a few bits changed, or cut short, sent again at once",
    AttackerKind.REPLAYED: "genuine messages recorded and sent again, unchanged, moments or seconds later",
    AttackerKind.ROLLBACK: "a car whose odometer is set back while it drives",
}


HAZARD_WORDS = {
    "dangerous_situation": "emergency braking",
    "stationary_vehicle": "a broken-down car",
    "emergency_vehicle_approaching": "an emergency vehicle on its way",
    "adverse_weather_condition_adhesion": "a slippery road",
    "dangerous_end_of_queue": "the end of a queue",
}
"""What cars tell each other of, by the name of its cause; one that is missing here is shown as it is."""


def reason_words(code: str) -> str:
    """Return a refusal code as a clause."""
    return REASON_WORDS.get(code, code.replace("_", " "))


def count(number: int, singular: str, plural: str | None = None) -> str:
    """Return `1 car`, `1,204 cars`, `no cars`."""
    words = singular if number == 1 else plural or f"{singular}s"
    return f"{number:,} {words}" if number else f"no {words}"


def duration_words(seconds: float) -> str:
    """Return `60 s` or `2 min 5 s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes > 1 else f"{seconds:g} s"


def time_words(seconds: float) -> str:
    """Return a short time: `0.4 ms`, `35 ms`, `1.2 s`."""
    if seconds < 0.01:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds * 1000:.0f} ms" if seconds < 1.0 else f"{seconds:.1f} s"


def closing_sentences(summary: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what the run showed, one sentence a line, good news and bad alike."""
    sent = sum(summary["sent"].values())
    stations = f"{count(summary['vehicles'], 'car')} and {count(summary['rsus'], 'roadside unit')}"
    verified = count(summary["verified"], "reception")
    sentences = [
        f"{count(sent, 'message')} signed and sent by {stations} in {duration_words(summary['sim_s'])}; {verified} verified."
    ]
    for kind in AttackerKind:
        attack = summary["attacks"].get(kind.value)
        if attack and attack["senders"]:
            sentences.append(_rollback_sentence(summary) if kind is AttackerKind.ROLLBACK else _attack_sentence(kind, attack))
    sentences += [_hazard_sentence(cause, hazard) for cause, hazard in summary.get("hazards", {}).items()]
    sentences.append(_odometer_sentence(summary["odometer"]))
    sentences.append(_passport_sentence(summary["passports"]))
    return tuple(sentences)


def undetected(attack: Mapping[str, Any]) -> int:
    """Return how many attackers of a kind went undetected; those none of whose frames arrived had nothing to be detected by."""
    return attack["senders"] - attack["detected"] if attack.get("deliveries", 1) else 0


def everything_caught(summary: Mapping[str, Any]) -> bool:
    """Whether every attacker was detected, nothing false was accepted, nobody honest was accused and every passport verifies."""
    attacks = summary["attacks"].values()
    passports = summary["passports"]
    return (
        all(not undetected(a) and not a["false_accusations"] and not a.get("accepted", 0) for a in attacks)
        and passports["written"] == passports["verified"] == summary["vehicles"]
    )


def _attack_sentence(kind: AttackerKind, attack: Mapping[str, Any]) -> str:
    title = ATTACK_TITLES[kind]
    if not attack["frames"]:
        return f"{title}: nothing sent in so short a run."
    if not attack["deliveries"]:
        return f"{title}: {count(attack['frames'], 'frame')} sent, none reached a receiver."
    if attack["accepted"]:
        verdict = f"{attack['accepted']:,} of {attack['deliveries']:,} receptions were ACCEPTED"
    else:
        verdict = f"all {attack['deliveries'] - attack['first_hearings']:,} receptions refused"
    reasons = ", ".join(f"{reason.replace('_', ' ')} {n:,}" for reason, n in attack["reasons"].items())
    sentence = f"{title}: {verdict} ({reasons})"
    if attack["first_hearings"]:
        sentence += (
            f"; {count(attack['first_hearings'], 'fresh copy', 'fresh copies')} reached receivers that had missed the original"
        )
    if attack["false_accusations"]:
        sentence += f"; {count(attack['false_accusations'], 'honest station')} wrongly accused"
    return sentence + "."


def _rollback_sentence(summary: Mapping[str, Any]) -> str:
    attack = summary["attacks"][AttackerKind.ROLLBACK.value]
    cars = count(attack["senders"], "car")
    caught = attack["detected"] == attack["senders"]
    verdict = "flagged in the record, for ever" if caught else f"only {attack['detected']} flagged"
    names = f" ({', '.join(attack['cars'])})" if attack["cars"] else ""
    return f"Odometer rolled back in {cars}{names}: {verdict}."


def _hazard_sentence(cause: str, hazard: Mapping[str, Any]) -> str:
    title = HAZARD_WORDS.get(cause, cause.replace("_", " ")).capitalize()
    sentence = f"{title}: announced {count(hazard['announced'], 'time')}, {count(hazard['drivers_told'], 'driver')} told"
    if hazard["first_told_s"] is not None:
        sentence += f", the first after {time_words(hazard['first_told_s'])}"
    if hazard["drivers_told_of_its_end"]:
        sentence += f"; {count(hazard['drivers_told_of_its_end'], 'driver')} still on the way there told of its end"
    return sentence + "."


def _odometer_sentence(odometer: Mapping[str, int]) -> str:
    return (
        f"{count(odometer['records'], 'odometer record')} made, {odometer['anchored']:,} of them anchored in the ledger"
        f" with a proof of inclusion, {odometer['witnessed']:,} under the eyes of its witnesses."
    )


def _passport_sentence(passports: Mapping[str, int]) -> str:
    if passports["written"] == passports["verified"]:
        return f"{count(passports['written'], 'passport')} written; every one of them verifies."
    return f"{count(passports['written'], 'passport')} written, of which {passports['verified']:,} verify."
