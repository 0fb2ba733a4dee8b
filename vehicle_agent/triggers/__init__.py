"""When the vehicle's own signals are worth a warning to others: one small state machine per use case, and no message in sight.

The conditions follow the Car 2 Car Communication Consortium's triggering conditions (C2CCC RS 2002 to 2006) where two public
sources agree on a figure; a figure that could not be established so is our choice, and its constant says "ours".
"""
