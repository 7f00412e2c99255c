"""What a training step eats: tables on disk and streams of batches."""
