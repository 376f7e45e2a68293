//! The catalogue of every metric, and recorders that cost an atomic
