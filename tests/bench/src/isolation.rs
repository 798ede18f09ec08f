//! Neighbours.

/// Rows that are compared: with the three, and without.
pub const PAIRS: [(&str, &str); 3] = [
    ("full speed, beside the three", "full speed, all healthy"),
    ("paced, beside the three", "paced, all healthy"),
    ("paced, beside the three, DISCONNECT", "paced, all healthy"),
];
