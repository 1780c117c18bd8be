"""A hazard model of dropout fitted to a service's own closed cases: risk set, fit, bundle, application."""
