"""Tables for programs: one catalogue of names, one statement per question, one Arrow form of the answer."""
