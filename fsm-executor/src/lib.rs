//! Runs asynchronous actions: bounded pool, one slot per worker, retry, timeout, cancel
