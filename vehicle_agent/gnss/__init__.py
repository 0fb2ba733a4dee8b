"""GNSS receivers beside the car's bus: what they report, whether it can be believed, and what of it becomes news about the car.

    octets -lines-> reports -gpsd | nmea-> Fix -GnssInput-> SignalUpdates, and the date for the clock

Everything but `line`, `reader` and `open_receiver` is sans-IO: octets and the time of their arrival in, values out.
"""
