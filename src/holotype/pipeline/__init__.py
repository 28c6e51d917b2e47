"""The pipeline: from a recipe to a run folder. Read `holotype.pipeline.run` first."""
