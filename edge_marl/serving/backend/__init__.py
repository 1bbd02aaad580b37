"""A small real model server: diffusion of handwritten digits, and memory that runs out."""
