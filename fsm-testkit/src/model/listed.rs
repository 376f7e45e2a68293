//! A list of values with the expressions that they were written as.

/// Values with their expressions: `listed![up(0), down(3)]` is `[("up(0)", up(0)), ("down(3)", down(3))]`.
#[macro_export]
macro_rules! listed {
    ($($value:expr),+ $(,)?) => { [$((stringify!($value), $value)),+] };
}
