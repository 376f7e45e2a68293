//! Identity, desired and observed state per path, with change history
