"""An invented form for tests: a definition as a table, to be changed field by field."""

SOURCED = {"status": "published", "source": "Invented for tests."}
DEMO = {
    "id": "demo",
    "name": "Demonstration form (6 items)",
    "perspective": "client",
    "construct": "alliance",
    "direction": "higher_is_better",
    "citation": "Invented for tests; not a real instrument.",
    "licence": "CC0-1.0",
    "status": "verified",
    "items": 6,
    "min": 1,
    "max": 7,
    "method": "mean",
    "sources": ["Invented for tests."],
    "subscales": {"bond": [1, 3, 5], "task": [2, 4, 6]},
    "vectors": [],
}
