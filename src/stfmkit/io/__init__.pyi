from ._read import read as read

__all__ = ["read"]
