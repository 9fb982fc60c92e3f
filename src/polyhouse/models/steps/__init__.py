"""Steps of a build, one module each; ``models.runner`` orders them."""
