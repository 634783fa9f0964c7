"""What makes and checks the documentation; no part of the package."""
