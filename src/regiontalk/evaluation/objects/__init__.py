"""Objects that captions name: hallucination (CHAIR), main object, recall, traced regions."""
