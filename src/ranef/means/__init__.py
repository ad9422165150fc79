"""Marginal means, contrasts and trends: linear functions of the coefficients that answer questions about groups."""
