"""Questions to the vehicle's control units, OBD-II and UDS over ISO-TP: what is asked, how politely, and what the answers say.

Everything here is sans-IO: frames and time in, frames to send and news out. Nothing can be asked but for reading.
"""
