"""Documentation, and the program that draws its pictures of real photographs' maps."""
