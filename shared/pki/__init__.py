"""Authority logic of TS 102 941, without input or output."""
