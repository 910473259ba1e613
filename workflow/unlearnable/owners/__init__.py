"""From an owner's folder of images to a release: what is in the folder, and the study that protects it."""
