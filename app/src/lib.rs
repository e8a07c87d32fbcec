#![doc = include_str!("../README.md")]

pub mod args;
mod autolink;
mod cli;
mod code;
mod footnotes;
mod links;
pub mod markdown;
pub mod seed;
mod server;
pub mod snippet;
pub mod store;
pub mod text;
pub mod web;

pub use cli::run;
pub use server::{Drain, End, Server};
