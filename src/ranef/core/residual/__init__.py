"""Residual covariance structures: R(rho) by rows, and the engines that take it together with random effects."""
