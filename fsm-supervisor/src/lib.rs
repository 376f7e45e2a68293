//! The sans-I/O composition engine for FSM workers, and its tokio driver
