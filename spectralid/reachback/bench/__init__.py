"""The chemist's bench: a case's material, the engine at hand, first looks, decisions."""
