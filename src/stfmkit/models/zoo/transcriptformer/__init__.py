"""Everything that this family alone needs."""
