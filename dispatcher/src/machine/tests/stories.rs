//! Rules that random schedules hit rarely.
