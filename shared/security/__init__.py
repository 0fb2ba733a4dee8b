"""IEEE 1609.2 and ETSI TS 103 097: certificates, secured data, signing and verification."""
