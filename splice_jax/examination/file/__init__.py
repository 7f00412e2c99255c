"""What a photograph's file says besides its pixels: facts, never a judgement of the picture."""
