"""SAE J1939: identifiers, the transport protocol, and requests for parameter groups. Bytes and time in, values out."""
