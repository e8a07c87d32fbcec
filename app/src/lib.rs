#![doc = include_str!("../README.md")]

pub mod args;
mod cli;
mod code;
pub mod markdown;
pub mod seed;
mod server;
pub mod snippet;
pub mod store;
pub mod text;
pub mod web;

pub use cli::run;
pub use server::{Drain, End, Server};
