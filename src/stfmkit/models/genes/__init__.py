"""Genes of a table in the vocabulary of a model."""
