//! Small models, every interleaving of which is tried.
