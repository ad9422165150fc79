"""Tables that are made to be looked at: smooth lines, bands, quantiles, correlations over time. `ranef.plot` draws them.

Statistics of residuals and rows that answer no question of inference by themselves, each one file and one Table.
"""
