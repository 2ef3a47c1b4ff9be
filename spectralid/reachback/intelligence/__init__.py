"""What seizures have to do with each other: fingerprints, linkage, graph, trends, alerts, bulletins."""
