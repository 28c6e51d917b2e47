"""Inspection of a data folder: tables, images, labels and groups, and the recipe proposed for them.

`write_recipe(propose(inspect_folder(Path("my_images"))), Path("recipe.yaml"))`
"""

from holotype.core.lazy_exports import lazy_exports

__getattr__, __all__ = lazy_exports(__name__)
