//! Pure vocabulary and rules of hierarchical FSM workers: no runtime, no I/O, no clock
