//! The store against [`Image::apply`].

mod disk;
mod figures;
mod inspect;
mod script;
mod size;
mod stories;
mod sweep;
