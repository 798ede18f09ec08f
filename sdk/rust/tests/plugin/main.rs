//! A whole plugin against a scripted dispatcher, over an in-memory link and in virtual time.

mod answers;
mod begin;
mod driven;
mod order;
mod peer;
mod reconnect;
mod stop;
mod sweep;
