"""Fits in other libraries: scikit-learn and marginaleffects, each imported only when it is used."""
