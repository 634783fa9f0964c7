"""How the embedded images, generators and encoders were made: one command a model."""
