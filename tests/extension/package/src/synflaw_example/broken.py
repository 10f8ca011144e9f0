"""A part whose library is not installed: it must break nothing but its own use."""

from a_library_that_is_not_there import Broken

__all__ = ["Broken"]
