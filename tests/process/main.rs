//! The real binary: real sockets, real signals, real kill -9, real time. One file a promise.
//!
//! Nothing here sleeps without a condition to wait for, every wait has a deadline that says what it had seen, and bounds
//! on time are generous: a slow machine makes these tests slow, not red.
#![allow(clippy::unwrap_used, reason = "a test may unwrap: its panic is the report")]

/// Who acts in these stories: processes of ours, clients of our own making, strangers.
mod cast {
    pub(crate) mod daemon;
    pub(crate) mod disk;
    pub(crate) mod example;
    pub(crate) mod gateway;
    pub(crate) mod home;
    pub(crate) mod line;
    pub(crate) mod peer;
    pub(crate) mod process;
    pub(crate) mod proxy;
    pub(crate) mod publisher;
    pub(crate) mod stranger;
    pub(crate) mod table;
    pub(crate) mod tail;
}

mod account;
mod any_moment;
mod bad_ack;
mod bad_bytes;
mod bad_event;
mod bad_hello;
mod bench;
mod crash_points;
mod data_dir;
mod dispatcher_killed;
mod drain_is_bounded;
mod every_life_ends;
mod examples;
mod exit_codes;
mod figures;
mod forget;
mod full_disk;
mod gateway_lost;
mod half_open;
mod handover;
mod journal;
mod keepalive;
mod listen;
mod operator;
mod reconnect;
mod record;
mod reflection;
mod report_at_the_end;
mod retention_all;
mod schedule;
mod takeover;
mod trigger;
mod unix_socket;
mod verify;
mod witness;
