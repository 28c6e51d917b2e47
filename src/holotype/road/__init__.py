"""What the pipeline calls on its way: members brought together, choices made, and what came of it written down."""
