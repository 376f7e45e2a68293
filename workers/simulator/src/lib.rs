//! Worker kind device_simulator: a plant with plausible signals over real protocols
