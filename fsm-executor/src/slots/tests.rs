//! Rules of the bookkeeping.
