"""The protocol of TS 102 941 between stations and authorities, both sides, and what keeps identities and lists fresh; sans-IO."""
