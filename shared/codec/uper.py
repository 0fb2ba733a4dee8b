"""Unaligned packed encoding rules (ITU-T X.691): to be filled."""

from typing import Any, TypeAlias

Tree: TypeAlias = Any
